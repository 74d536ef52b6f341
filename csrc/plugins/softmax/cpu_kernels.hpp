// SPDX-License-Identifier: Apache-2.0
// What the rows hand to the kernels of SoftMax.
#ifndef DOVETAIL_PLUGINS_SOFTMAX_CPU_KERNELS_HPP
#define DOVETAIL_PLUGINS_SOFTMAX_CPU_KERNELS_HPP

#include "dovetail/detail/isa.hpp"
#include "kernels/reduce/reduction.hpp"

struct SoftmaxArgs {
  const void* x;
  void* y;
  int32_t type;  // of both
  Reduction over;
};

// Items [first, last), of strip_items.
DOVETAIL_KERNELS(void softmax(const SoftmaxArgs& args, int64_t first, int64_t last);)

#endif
