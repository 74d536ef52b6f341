// SPDX-License-Identifier: Apache-2.0
// Arguments of the kernels of pointwise layers with broadcasting, and the iteration over their inputs.
// Filled by broadcast.hpp.
#ifndef DOVETAIL_KERNELS_POINTWISE_BROADCAST_ARGS_HPP
#define DOVETAIL_KERNELS_POINTWISE_BROADCAST_ARGS_HPP

#include "kernels/simd/convert.hpp"

constexpr int kBroadcastRank = 9;  // eight, and the lanes of a blocked format

// y as rows of `columns` neighbours; dims are those of the rows, outermost first. Strides of the inputs count elements
// and are 0 where an extent of 1 is repeated; column[i] is 0 or 1.
template <int n_inputs>
struct Broadcast {
  int32_t rank;
  int64_t dims[kBroadcastRank], stride[n_inputs][kBroadcastRank];
  int64_t columns, column[n_inputs];

  int64_t rows() const {
    int64_t n = 1;
    for (int i = 0; i < rank; ++i) n *= dims[i];
    return n;
  }
};

// Two inputs of one type.
struct PairArgs : Broadcast<2> {
  const void *a, *b;
  void* y;
  int32_t type;  // of a and b
};

namespace DT_ISA {
namespace {

// A piece of work: rows that follow each other in the innermost of the rows' dims. Offsets and steps count elements.
template <int n_inputs>
struct BroadcastRows {
  int64_t n, columns;
  int64_t at[n_inputs], step[n_inputs], y, y_step;
};

// Calls body(rows) for the pieces of columns [first_column, last_column) of rows [first_row, last_row).
template <int n_inputs, class Body>
void each_broadcast_rows(const Broadcast<n_inputs>& args, int64_t first_row, int64_t last_row, int64_t first_column,
                         int64_t last_column, const Body& body) {
  const int inner = args.rank - 1;
  BroadcastRows<n_inputs> rows;
  for (int64_t row = first_row; row < last_row; row += rows.n) {
    int64_t left = row;
    for (int k = 0; k < n_inputs; ++k) rows.at[k] = first_column * args.column[k];
    for (int i = inner; i >= 0; --i) {
      const int64_t index = left % args.dims[i];
      left /= args.dims[i];
      for (int k = 0; k < n_inputs; ++k) rows.at[k] += index * args.stride[k][i];
    }
    const int64_t rest = args.dims[inner] - row % args.dims[inner];
    rows.n = rest < last_row - row ? rest : last_row - row;
    for (int k = 0; k < n_inputs; ++k) rows.step[k] = args.stride[k][inner];
    rows.y = row * args.columns + first_column;
    rows.y_step = args.columns;
    rows.columns = last_column - first_column;
    body(rows);
  }
}

constexpr int64_t kBroadcastChunk = 256;

// y may be a: elements do not depend on others.
template <class Op, class T, class Y>
void pair_run(const T* a, int64_t a_column, const T* b, int64_t b_column, Y* y, int64_t n) {
  if (a_column != 0 && b_column != 0) {
#pragma GCC ivdep
    for (int64_t i = 0; i < n; ++i) y[i] = Op::of(a[i], b[i]);
  } else if (a_column != 0) {
    const T one = *b;
#pragma GCC ivdep
    for (int64_t i = 0; i < n; ++i) y[i] = Op::of(a[i], one);
  } else if (b_column != 0) {
    const T one = *a;
#pragma GCC ivdep
    for (int64_t i = 0; i < n; ++i) y[i] = Op::of(one, b[i]);
  } else {
    const Y one = Op::of(*a, *b);
#pragma GCC ivdep
    for (int64_t i = 0; i < n; ++i) y[i] = one;
  }
}

// y = Op::of(a, b)
template <class Op, class T, class Y>
void pair_rows(const PairArgs& args, const BroadcastRows<2>& rows) {
  const T* a = static_cast<const T*>(args.a) + rows.at[0];
  const T* b = static_cast<const T*>(args.b) + rows.at[1];
  Y* y = static_cast<Y*>(args.y) + rows.y;
  for (int64_t i = 0; i < rows.n; ++i) {
    pair_run<Op>(a + i * rows.step[0], args.column[0], b + i * rows.step[1], args.column[1], y + i * rows.y_step,
                 rows.columns);
  }
}

inline void store_run(const float* src, const PairArgs& args, int64_t first, int64_t n) {
  store_floats(src, args.y, args.type, first, n);
}
inline void store_run(const uint8_t* src, const PairArgs& args, int64_t first, int64_t n) {
  memcpy(static_cast<uint8_t*>(args.y) + first, src, static_cast<size_t>(n));
}

// The same of float16 and bfloat16, by way of float32; Y is float or uint8_t.
template <class Op, class Y>
void pair_rows_of_halves(const PairArgs& args, const BroadcastRows<2>& rows) {
  float a[kBroadcastChunk], b[kBroadcastChunk];
  Y y[kBroadcastChunk];
  for (int64_t i = 0; i < rows.n; ++i) {
    for (int64_t k = 0; k < rows.columns; k += kBroadcastChunk) {
      const int64_t n = rows.columns - k < kBroadcastChunk ? rows.columns - k : kBroadcastChunk;
      load_floats(args.a, args.type, rows.at[0] + i * rows.step[0] + k * args.column[0], a, args.column[0] ? n : 1);
      load_floats(args.b, args.type, rows.at[1] + i * rows.step[1] + k * args.column[1], b, args.column[1] ? n : 1);
      pair_run<Op>(a, args.column[0], b, args.column[1], y, n);
      store_run(y, args, rows.y + i * rows.y_step + k, n);
    }
  }
}

}  // namespace
}  // namespace DT_ISA

#endif
