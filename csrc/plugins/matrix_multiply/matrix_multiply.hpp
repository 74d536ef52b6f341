// SPDX-License-Identifier: Apache-2.0
// y = op0(a) * op1(b), a product of the last two dims of each, for all dims in front of them
//   ops      TRANSPOSE exchanges the last two dims; with VECTOR there is one, and y has none for it
//   batch    extents of 1 are repeated along the other's
//   numerics float16 and bfloat16 are summed in float32. INT8: exact sums in int32, then times a.scale * b.scale, in
//            float32. INT32 and INT64 wrap around
//   packing  one constant matrix is packed while building
#ifndef DOVETAIL_PLUGINS_MATRIX_MULTIPLY_MATRIX_MULTIPLY_HPP
#define DOVETAIL_PLUGINS_MATRIX_MULTIPLY_MATRIX_MULTIPLY_HPP

#include "dovetail/plugin.hpp"
#include "kernels/spec/enumerations.hpp"

enum MatrixOperation : int32_t { DOVETAIL_MATRIX_OPERATION(DOVETAIL_ENUMERATOR, kMatrix) };

struct MatrixMultiplyParams {
  int32_t op0 = kMatrixNone, op1 = kMatrixNone;

  bool has_m() const { return op0 != kMatrixVector; }
  bool has_n() const { return op1 != kMatrixVector; }
  // Axes behind `batch` others: the one that is summed, and the one that y has.
  int k_of_a(int batch) const { return op0 == kMatrixTranspose ? batch : batch + has_m(); }
  int k_of_b(int batch) const { return op1 == kMatrixTranspose ? batch + 1 : batch; }
  int m_of_a(int batch) const { return 2 * batch + 1 - k_of_a(batch); }
  int n_of_b(int batch) const { return 2 * batch + 1 - k_of_b(batch); }

  void check_fields() const {
    dovetail::expect_field("op0", op0, kMatrixNone, kMatrixVector);
    dovetail::expect_field("op1", op1, kMatrixNone, kMatrixVector);
  }
  void check_shapes(const dovetail::Shapes& inputs, const dovetail::Shapes& outputs) const {
    const dovetail::Shape a = inputs.get(0, "a"), b = inputs.get(1, "b");
    const int batch = a.rank() - 1 - has_m();
    if (batch < 0 || b.rank() != batch + 1 + has_n()) {
      dovetail::fail(DT_SHAPE, dovetail::nowhere("a has rank %d and b %d"), a.rank(), b.rank());
    }
    int64_t wanted[DT_MAX_RANK];
    for (int i = 0; i < batch; ++i) {
      if (a[i] != b[i] && a[i] != 1 && b[i] != 1) {
        dovetail::fail(DT_SHAPE, dovetail::nowhere("axis %d of a is %lld, of b %lld"), i, static_cast<long long>(a[i]),
                       static_cast<long long>(b[i]));
      }
      wanted[i] = a[i] == 1 ? b[i] : a[i];
    }
    const int64_t in_a = a[k_of_a(batch)], in_b = b[k_of_b(batch)];
    if (in_a != in_b) {
      dovetail::fail(DT_SHAPE, dovetail::nowhere("a has %lld elements that are summed, b %lld"),
                     static_cast<long long>(in_a), static_cast<long long>(in_b));
    }
    int rank = batch;
    if (has_m()) wanted[rank++] = a[m_of_a(batch)];
    if (has_n()) wanted[rank++] = b[n_of_b(batch)];
    expect_dims(outputs.get(0, "y"), wanted, rank);
  }
};
DOVETAIL_READS(MatrixMultiplyParams, op0, op1)

#endif
