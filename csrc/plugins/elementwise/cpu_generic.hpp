// SPDX-License-Identifier: Apache-2.0
// The algorithm of Elementwise, compiled once per instruction set.
#ifndef DOVETAIL_PLUGINS_ELEMENTWISE_CPU_GENERIC_HPP
#define DOVETAIL_PLUGINS_ELEMENTWISE_CPU_GENERIC_HPP

#include "cpu_kernels.hpp"
#include "dovetail/simd/convert.hpp"
#include "operations.hpp"

namespace DT_ISA {
namespace {

constexpr int64_t kChunk = 256;

template <class Op, class T, class Y>
void run_of(const T* a, int64_t a_column, const T* b, int64_t b_column, Y* y, int64_t n) {
  if (a_column != 0 && b_column != 0) {
    for (int64_t i = 0; i < n; ++i) y[i] = Op::of(a[i], b[i]);
  } else if (a_column != 0) {
    const T one = *b;
    for (int64_t i = 0; i < n; ++i) y[i] = Op::of(a[i], one);
  } else if (b_column != 0) {
    const T one = *a;
    for (int64_t i = 0; i < n; ++i) y[i] = Op::of(one, b[i]);
  } else {
    const Y one = Op::of(*a, *b);
    for (int64_t i = 0; i < n; ++i) y[i] = one;
  }
}

// A piece of work: rows that follow each other in the innermost of the rows' dims.
struct Rows {
  int64_t n, a, a_step, b, b_step, y, y_step, columns;  // offsets and steps in elements
};

template <class Op, class T, class Y>
void rows_of(const ElementwiseArgs& args, const Rows& rows) {
  const T* a = static_cast<const T*>(args.a) + rows.a;
  const T* b = static_cast<const T*>(args.b) + rows.b;
  Y* y = static_cast<Y*>(args.y) + rows.y;
  for (int64_t i = 0; i < rows.n; ++i) {
    run_of<Op>(a + i * rows.a_step, args.a_column, b + i * rows.b_step, args.b_column, y + i * rows.y_step,
               rows.columns);
  }
}

void store_run(const float* src, const ElementwiseArgs& args, int64_t first, int64_t n) {
  store_floats(src, args.y, args.type, first, n);
}
void store_run(const uint8_t* src, const ElementwiseArgs& args, int64_t first, int64_t n) {
  memcpy(static_cast<uint8_t*>(args.y) + first, src, static_cast<size_t>(n));
}

// float16 and bfloat16
template <class Op, class Y>
void rows_of_halves(const ElementwiseArgs& args, const Rows& rows) {
  float a[kChunk], b[kChunk];
  Y y[kChunk];
  for (int64_t i = 0; i < rows.n; ++i) {
    for (int64_t k = 0; k < rows.columns; k += kChunk) {
      const int64_t n = rows.columns - k < kChunk ? rows.columns - k : kChunk;
      load_floats(args.a, args.type, rows.a + i * rows.a_step + k * args.a_column, a, args.a_column != 0 ? n : 1);
      load_floats(args.b, args.type, rows.b + i * rows.b_step + k * args.b_column, b, args.b_column != 0 ? n : 1);
      run_of<Op>(a, args.a_column, b, args.b_column, y, n);
      store_run(y, args, rows.y + i * rows.y_step + k, n);
    }
  }
}

template <class Op>
void arithmetic(const ElementwiseArgs& args, const Rows& rows) {
  if (args.type == kF32) return rows_of<Op, float, float>(args, rows);
  if (args.type == kI32) return rows_of<Op, int32_t, int32_t>(args, rows);
  if (args.type == kI64) return rows_of<Op, int64_t, int64_t>(args, rows);
  rows_of_halves<Op, float>(args, rows);
}

template <class Op>
void comparison(const ElementwiseArgs& args, const Rows& rows) {
  if (args.type == kF32) return rows_of<Op, float, uint8_t>(args, rows);
  if (args.type == kI32) return rows_of<Op, int32_t, uint8_t>(args, rows);
  if (args.type == kI64) return rows_of<Op, int64_t, uint8_t>(args, rows);
  if (args.type == kB8) return rows_of<Op, uint8_t, uint8_t>(args, rows);
  rows_of_halves<Op, uint8_t>(args, rows);
}

void compute(const ElementwiseArgs& args, const Rows& rows) {
  switch (args.kind) {
    case kSum:
      return arithmetic<Sum>(args, rows);
    case kProd:
      return arithmetic<Prod>(args, rows);
    case kMax:
      return arithmetic<Max>(args, rows);
    case kMin:
      return arithmetic<Min>(args, rows);
    case kSub:
      return arithmetic<Sub>(args, rows);
    case kDiv:
      return arithmetic<Div>(args, rows);
    case kPow:
      return arithmetic<Pow>(args, rows);
    case kFloorDiv:
      return arithmetic<FloorDiv>(args, rows);
    case kAnd:
      return rows_of<And, uint8_t, uint8_t>(args, rows);
    case kOr:
      return rows_of<Or, uint8_t, uint8_t>(args, rows);
    case kXor:
      return rows_of<Xor, uint8_t, uint8_t>(args, rows);
    case kEqual:
      return comparison<Equal>(args, rows);
    case kGreater:
      return comparison<Greater>(args, rows);
    default:
      return comparison<Less>(args, rows);
  }
}

}  // namespace

void elementwise(const ElementwiseArgs& args, int64_t first_row, int64_t last_row, int64_t first_column,
                 int64_t last_column) {
  const int inner = args.rank - 1;
  Rows rows;
  for (int64_t row = first_row; row < last_row; row += rows.n) {
    int64_t left = row;
    rows.a = first_column * args.a_column;
    rows.b = first_column * args.b_column;
    for (int i = inner; i >= 0; --i) {
      const int64_t at = left % args.dims[i];
      left /= args.dims[i];
      rows.a += at * args.a_stride[i];
      rows.b += at * args.b_stride[i];
    }
    const int64_t rest = args.dims[inner] - row % args.dims[inner];
    rows.n = rest < last_row - row ? rest : last_row - row;
    rows.a_step = args.a_stride[inner];
    rows.b_step = args.b_stride[inner];
    rows.y = row * args.columns + first_column;
    rows.y_step = args.columns;
    rows.columns = last_column - first_column;
    compute(args, rows);
  }
}

}  // namespace DT_ISA

#endif
