// SPDX-License-Identifier: Apache-2.0
// y = round(x / scale) + zero, limited to the type of zero, int8 or uint8
//   inputs   x, any dims; scale and zero, one value each
//   numerics the quotient is taken in float32, ties to even; NaN gives the lower limit
//   padding  lanes are written as zeros
#ifndef DOVETAIL_PLUGINS_AFFINE_QUANTIZE_AFFINE_QUANTIZE_HPP
#define DOVETAIL_PLUGINS_AFFINE_QUANTIZE_AFFINE_QUANTIZE_HPP

#include "dovetail/plugin.hpp"

struct AffineQuantizeParams {
  enum { kX, kScale, kZero };
  void check_shapes(const dovetail::Shapes& inputs, const dovetail::Shapes& outputs) const {
    expect_same_dims(outputs.get(0, "y"), inputs.get(kX, "x"));
    expect_volume(inputs.get(kScale, "scale"), 1);
    expect_volume(inputs.get(kZero, "zero"), 1);
  }
};
DOVETAIL_READS(AffineQuantizeParams)

#endif
