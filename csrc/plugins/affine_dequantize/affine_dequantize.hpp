// SPDX-License-Identifier: Apache-2.0
// y = (x - zero) * scale, x in int8 or uint8
//   inputs   x, any dims; scale and zero, one value each
//   numerics the difference is exact, the product in float32
//   padding  lanes are written as zeros
#ifndef DOVETAIL_PLUGINS_AFFINE_DEQUANTIZE_AFFINE_DEQUANTIZE_HPP
#define DOVETAIL_PLUGINS_AFFINE_DEQUANTIZE_AFFINE_DEQUANTIZE_HPP

#include "dovetail/plugin.hpp"

struct AffineDequantizeParams {
  enum { kX, kScale, kZero };
  void check_shapes(const dovetail::Shapes& inputs, const dovetail::Shapes& outputs) const {
    expect_same_dims(outputs.get(0, "y"), inputs.get(kX, "x"));
    expect_volume(inputs.get(kScale, "scale"), 1);
    expect_volume(inputs.get(kZero, "zero"), 1);
  }
};
DOVETAIL_READS(AffineDequantizeParams)

#endif
