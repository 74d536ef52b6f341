// SPDX-License-Identifier: Apache-2.0
// What the rows hand to the kernels of Quantize.
#ifndef DOVETAIL_PLUGINS_QUANTIZE_CPU_KERNELS_HPP
#define DOVETAIL_PLUGINS_QUANTIZE_CPU_KERNELS_HPP

#include <stdint.h>

#include "dovetail/detail/isa.hpp"

// x and y as stored: [outer, groups, inner, lanes]; element (o, g, i, l) has scale g * lanes + l.
struct QuantizeArgs {
  const void* x;
  void* y;
  int32_t float_type;  // of the side that is not INT8: DT_TYPE_FLOAT, HALF or BF16
  const float* scale;
  int64_t groups, inner, lanes;
};

// Elements [first, last) in the order of storage.
DOVETAIL_KERNELS(void quantize(const QuantizeArgs& args, int64_t first, int64_t last);)

#endif
