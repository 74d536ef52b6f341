// SPDX-License-Identifier: Apache-2.0
// What the rows hand to the kernels of OneHot.
#ifndef DOVETAIL_PLUGINS_ONE_HOT_CPU_KERNELS_HPP
#define DOVETAIL_PLUGINS_ONE_HOT_CPU_KERNELS_HPP

#include <stdint.h>

#include "dovetail/detail/isa.hpp"

struct OneHotArgs {
  const void *indices, *values;
  void* y;
  int32_t indices_are_64;
  int64_t element_bytes;
  int64_t depth, inner;  // y is [outer, depth, inner]
};

// Rows [first, last) of y's outer * depth.
DOVETAIL_KERNELS(void one_hot(const OneHotArgs& args, int64_t first, int64_t last);)

#endif
