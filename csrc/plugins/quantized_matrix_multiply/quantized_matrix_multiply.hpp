// SPDX-License-Identifier: Apache-2.0
// y = the products of a - a_zero and b - b_zero, integers of 8 bits, in int32; or times a factor
//   inputs   a [.., m, k]; b [.., k, n]; a_zero, one value; b_zero, one value or [n]; factor, one value or [n]; bias [n],
//            in float32 where y is, else in int32; y_zero, one value
//   batch    extents of 1 are repeated along the other's
//   numerics sums modulo 2^32; times factor in float32. int8 and uint8: to nearest, ties to even, plus y_zero, limited
//   packing  a constant matrix b is packed while building, with its zero points
#ifndef DOVETAIL_PLUGINS_QUANTIZED_MATRIX_MULTIPLY_QUANTIZED_MATRIX_MULTIPLY_HPP
#define DOVETAIL_PLUGINS_QUANTIZED_MATRIX_MULTIPLY_QUANTIZED_MATRIX_MULTIPLY_HPP

#include "dovetail/plugin.hpp"

struct QuantizedMatrixMultiplyParams {
  enum { kA, kB, kAZero, kBZero, kFactor, kBias, kYZero };
  int64_t low = -128, high = 255;

  void check_fields() const {
    dovetail::expect_field("low", low, -128, 255);
    dovetail::expect_field("high", high, low, 255);
  }
  static void check_vector(const dovetail::Shapes& inputs, int i, const char* name, int64_t n) {
    if (!inputs.has(i)) return;
    const dovetail::Shape given = inputs.get(i, name);
    if (given.volume() != 1) expect_volume(given, n);
  }
  void check_shapes(const dovetail::Shapes& inputs, const dovetail::Shapes& outputs) const {
    const dovetail::Shape a = inputs.get(kA, "a"), b = inputs.get(kB, "b"), y = outputs.get(0, "y");
    const int rank = a.rank();
    if (rank < 2 || b.rank() != rank) {
      dovetail::fail(DT_SHAPE, dovetail::nowhere("a has rank %d and b %d"), rank, b.rank());
    }
    int64_t wanted[DT_MAX_RANK];
    for (int i = 0; i < rank - 2; ++i) {
      if (a[i] != b[i] && a[i] != 1 && b[i] != 1) {
        dovetail::fail(DT_SHAPE, dovetail::nowhere("axis %d of a is %lld, of b %lld"), i, static_cast<long long>(a[i]),
                       static_cast<long long>(b[i]));
      }
      wanted[i] = a[i] == 1 ? b[i] : a[i];
    }
    if (a[-1] != b[-2]) {
      dovetail::fail(DT_SHAPE, dovetail::nowhere("a has %lld elements that are summed, b %lld"),
                     static_cast<long long>(a[-1]), static_cast<long long>(b[-2]));
    }
    wanted[rank - 2] = a[-2];
    wanted[rank - 1] = b[-1];
    expect_dims(y, wanted, rank);
    check_vector(inputs, kAZero, "a_zero", 1);
    check_vector(inputs, kBZero, "b_zero", b[-1]);
    check_vector(inputs, kFactor, "factor", b[-1]);
    check_vector(inputs, kBias, "bias", b[-1]);
    check_vector(inputs, kYZero, "y_zero", 1);
    if (y.type() != dovetail::DataType::kINT32) inputs.get(kFactor, "factor");
  }
};
DOVETAIL_READS(QuantizedMatrixMultiplyParams, low, high)

#endif
