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

enum MatrixOperation : int32_t { kMatrixNone = 0, kMatrixTranspose = 1, kMatrixVector = 2 };

struct MatrixMultiplyParams {
  int32_t op0 = kMatrixNone, op1 = kMatrixNone;
};
DOVETAIL_READS(MatrixMultiplyParams, op0, op1)

#endif
