// SPDX-License-Identifier: Apache-2.0
// y = round(clip(x / scale, -128, 127)), ties to even; y is INT8
//   inputs   x; scale, positive: one value, or one per extent of `axis`
//   numerics the quotient is taken in float32; NaN gives 0
//   padding  lanes are written as zeros
#ifndef DOVETAIL_PLUGINS_QUANTIZE_QUANTIZE_HPP
#define DOVETAIL_PLUGINS_QUANTIZE_QUANTIZE_HPP

#include "dovetail/plugin.hpp"

struct QuantizeParams {
  int64_t axis = 0;

  void check_shapes(const dovetail::Shapes& inputs, const dovetail::Shapes& outputs) const {
    const dovetail::Shape x = inputs.get(0, "x"), scale = inputs.get(1, "scale");
    expect_same_dims(outputs.get(0, "y"), x);
    if (scale.volume() != 1) expect_volume(scale, x[axis]);
  }
};
DOVETAIL_READS(QuantizeParams, axis)

#endif
