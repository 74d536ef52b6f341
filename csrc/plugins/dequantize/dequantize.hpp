// SPDX-License-Identifier: Apache-2.0
// y = x * scale; x is INT8
//   inputs   x; scale, positive: one value, or one per extent of `axis`
//   numerics the product is taken in float32
//   padding  lanes are written as zeros
#ifndef DOVETAIL_PLUGINS_DEQUANTIZE_DEQUANTIZE_HPP
#define DOVETAIL_PLUGINS_DEQUANTIZE_DEQUANTIZE_HPP

#include "dovetail/plugin.hpp"

struct DequantizeParams {
  int64_t axis = 0;

  void check_shapes(const dovetail::Shapes& inputs, const dovetail::Shapes& outputs) const {
    const dovetail::Shape x = inputs.get(0, "x"), scale = inputs.get(1, "scale");
    expect_same_dims(outputs.get(0, "y"), x);
    if (scale.volume() != 1) expect_volume(scale, x[axis]);
  }
};
DOVETAIL_READS(DequantizeParams, axis)

#endif
