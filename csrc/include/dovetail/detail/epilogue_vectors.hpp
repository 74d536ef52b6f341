// SPDX-License-Identifier: Apache-2.0
// The common epilogues: each step is one loop over the vectors of a tile where they lie, in L1, without copies of
// constants and channels. For epilogue_tile.hpp, which computes the others.
#ifndef DOVETAIL_DETAIL_EPILOGUE_VECTORS_HPP
#define DOVETAIL_DETAIL_EPILOGUE_VECTORS_HPP

#include "dovetail/epilogue_program.h"
#include "dovetail/tile_vectors.hpp"

namespace DT_ISA {

// Vector i of row r is at p + r * row + i * column; column is 0 where all vectors of a row are the same.
struct VectorOperand {
  const float* p;
  int64_t row;
  int column;
};

// Where a step computes, and on what.
struct VectorStep {
  VectorOperand in[3];
  float* to;
  int64_t pitch;
  int rows, columns;
  bool is_number[3];  // is the operand a constant that is not NaN?

  // Does the operand go on from row to row as it does in a row, so that all rows are one?
  bool is_even(const VectorOperand& operand) const {
    return operand.column == 0 ? operand.row == 0 : operand.row == columns || (operand.row == 0 && columns == kLanes);
  }
  void join_rows(int n) {
    if (columns % kLanes != 0 || pitch != columns) return;
    for (int k = 0; k < n; ++k)
      if (!is_even(in[k])) return;
    for (int k = 0; k < n; ++k)
      if (in[k].row == 0) in[k].column = 0;
    columns *= rows;
    rows = 1;
  }
};

// One row. An operand that does not move is the same for all vectors.
template <bool moves_a, bool moves_b, class Function>
inline __attribute__((always_inline)) void row_of_vectors(const float* a, const float* b, float* to, int n,
                                                          Function f) {
  VecF x = load(a), y = load(b);
#pragma GCC unroll 4
  for (int i = 0; i < n; ++i) {
    if (moves_a) x = load(a + i * kLanes);
    if (moves_b) y = load(b + i * kLanes);
    store(to + i * kLanes, f(x, y, y));
  }
}

template <int n, class Function>
inline __attribute__((always_inline)) void each_vector(VectorStep step, Function f) {
  step.join_rows(n);
  const int whole = step.columns / kLanes, rest = step.columns % kLanes;
  const int ia = step.in[0].column, ib = n > 1 ? step.in[1].column : 0, ic = n > 2 ? step.in[2].column : 0;
  for (int r = 0; r < step.rows; ++r) {
    const float* a = step.in[0].p + r * step.in[0].row;
    const float* b = n > 1 ? step.in[1].p + r * step.in[1].row : a;
    const float* c = n > 2 ? step.in[2].p + r * step.in[2].row : a;
    float* to = step.to + r * step.pitch;
    if (n == 3) {
      for (int i = 0; i < whole; ++i) store(to + i * kLanes, f(load(a + i * ia), load(b + i * ib), load(c + i * ic)));
    } else if (whole > 0 && ia != 0) {
      ib != 0 ? row_of_vectors<true, true>(a, b, to, whole, f) : row_of_vectors<true, false>(a, b, to, whole, f);
    } else if (whole > 0) {
      ib != 0 ? row_of_vectors<false, true>(a, b, to, whole, f) : row_of_vectors<false, false>(a, b, to, whole, f);
    }
    if (rest == 0) continue;
    const auto some = [rest](const float* p) { return load_lanes(reinterpret_cast<uintptr_t>(p), 0, rest, VecF{}); };
    store_lanes(to + whole * kLanes, rest, f(some(a + whole * ia), some(b + whole * ib), some(c + whole * ic)));
  }
}

// X(name, number of operands, value of vectors a, b, c): the operations that have vector code.
#define DT_VECTOR_STEPS(X)                           \
  X(ADD, 2, a + b)                                   \
  X(SUB, 2, a - b)                                   \
  X(MUL, 2, a* b)                                    \
  X(DIV, 2, a / b)                                   \
  X(MIN, 2, a < b || a != a ? a : b)                 \
  X(MAX, 2, a > b || a != a ? a : b)                 \
  X(LESS, 2, a < b ? splat(1.0f) : VecF{})           \
  X(LESS_EQUAL, 2, a <= b ? splat(1.0f) : VecF{})    \
  X(GREATER, 2, a > b ? splat(1.0f) : VecF{})        \
  X(GREATER_EQUAL, 2, a >= b ? splat(1.0f) : VecF{}) \
  X(SELECT, 3, a != 0.0f ? b : c)                    \
  X(NEG, 1, -a)                                      \
  X(ABS, 1, a < 0.0f ? -a : a + 0.0f)                \
  X(EXP, 1, exp_f(a))                                \
  X(EXPM1, 1, expm1_f(a))                            \
  X(SOFTPLUS, 1, softplus_f(a))                      \
  X(SIGMOID, 1, sigmoid_f(a))                        \
  X(TANH, 1, tanh_f(a))                              \
  X(ERF, 1, erf_f(a))

static inline bool has_vector_code(const EpilogueStep& step) {
  const float exponent = step.constant[1];
  switch (step.operation) {
    case DT_STEP_POW:
      return step.kind[1] == kEpilogueConstant && (exponent == 2.0f || exponent == 3.0f || exponent == 4.0f);
#define DT_VECTOR_CASE(name, n, value) case DT_STEP_##name:
      DT_VECTOR_STEPS(DT_VECTOR_CASE)
#undef DT_VECTOR_CASE
      return true;
    default:
      return false;
  }
}

// Steps that often follow each other: x * sigmoid(x), and x * (1 + erf(x * factor)) / 2.
constexpr int kStepSilu = -1, kStepGelu = -2;

static void apply_vector_step(int operation, const VectorStep& step) {
  switch (operation) {
    case kStepSilu:
      return each_vector<1>(step, [](VecF a, VecF, VecF) { return a * sigmoid_f(a); });
    case kStepGelu:
      return each_vector<2>(step, [](VecF a, VecF b, VecF) {
        const VecF half = 0.5f * a;
        return half * erf_f(a * b) + half;
      });
    case DT_STEP_MIN:
      if (step.is_number[1]) return each_vector<2>(step, [](VecF a, VecF b, VecF) { return at_most(a, b); });
      if (step.is_number[0]) return each_vector<2>(step, [](VecF a, VecF b, VecF) { return at_most(b, a); });
      break;
    case DT_STEP_MAX:
      if (step.is_number[1]) return each_vector<2>(step, [](VecF a, VecF b, VecF) { return at_least(a, b); });
      if (step.is_number[0]) return each_vector<2>(step, [](VecF a, VecF b, VecF) { return at_least(b, a); });
      break;
    case DT_STEP_POW: {
      const float exponent = step.in[1].p[0];
      return each_vector<1>(step, [exponent](VecF a, VecF, VecF) { return power_f(a, exponent); });
    }
    default:
      break;
  }
  switch (operation) {
#define DT_VECTOR_CASE(name, n, value) \
  case DT_STEP_##name:                 \
    return each_vector<n>(step, [](VecF a, [[maybe_unused]] VecF b, [[maybe_unused]] VecF c) { return value; });
    DT_VECTOR_STEPS(DT_VECTOR_CASE)
#undef DT_VECTOR_CASE
  }
}
#undef DT_VECTOR_STEPS

}  // namespace DT_ISA

#endif
