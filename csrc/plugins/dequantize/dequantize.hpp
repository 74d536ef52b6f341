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
};
DOVETAIL_READS(DequantizeParams, axis)

#endif
