// SPDX-License-Identifier: Apache-2.0
// The kernels that convert a tensor's elements to another type.
#ifndef DOVETAIL_KERNELS_CONVERSION_ARGS_HPP
#define DOVETAIL_KERNELS_CONVERSION_ARGS_HPP

#include <stdint.h>

#include "dovetail/detail/isa.hpp"

struct ConversionArgs {
  const void* x;
  void* y;
  int32_t x_type, y_type;  // DT_TYPE_*, not FP8
  float scale = 0.0f;      // of the side that is INT8, where the other is a float: real = stored * scale; 0: none
};

// Elements [first, last) in the order of storage.
DOVETAIL_KERNELS(void convert_elements(const ConversionArgs& args, int64_t first, int64_t last);)

#endif
