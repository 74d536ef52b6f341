// SPDX-License-Identifier: Apache-2.0
// y = round(x / scale) + zero in uint8, where scale and zero follow from the least and the largest x
//   numerics scale = (max(x, 0) - min(x, 0)) / 255, or 1 where that is 0; zero = round(-min(x, 0) / scale); ties to even
#ifndef DOVETAIL_PLUGINS_DYNAMIC_QUANTIZE_DYNAMIC_QUANTIZE_HPP
#define DOVETAIL_PLUGINS_DYNAMIC_QUANTIZE_DYNAMIC_QUANTIZE_HPP

#include "dovetail/plugin.hpp"

struct DynamicQuantizeParams {
  void check_shapes(const dovetail::Shapes& inputs, const dovetail::Shapes& outputs) const {
    expect_same_dims(outputs.get(0, "y"), inputs.get(0, "x"));
    expect_volume(outputs.get(1, "scale"), 1);
    expect_volume(outputs.get(2, "zero"), 1);
  }
};
DOVETAIL_READS(DynamicQuantizeParams)

#endif
