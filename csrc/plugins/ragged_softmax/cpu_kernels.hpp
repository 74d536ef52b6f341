// SPDX-License-Identifier: Apache-2.0
// What the rows hand to the kernels of RaggedSoftMax.
#ifndef DOVETAIL_PLUGINS_RAGGED_SOFTMAX_CPU_KERNELS_HPP
#define DOVETAIL_PLUGINS_RAGGED_SOFTMAX_CPU_KERNELS_HPP

#include <stdint.h>

#include "dovetail/detail/isa.hpp"

struct RaggedSoftMaxArgs {
  const void *x, *bounds;
  void* y;
  int64_t size;  // of a row
  int32_t type, bounds_type;
};

// Rows [first, last).
DOVETAIL_KERNELS(void ragged_softmax(const RaggedSoftMaxArgs& args, int64_t first, int64_t last);)

#endif
