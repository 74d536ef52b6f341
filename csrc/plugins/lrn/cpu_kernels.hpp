// SPDX-License-Identifier: Apache-2.0
// What the rows hand to the kernels of LRN.
#ifndef DOVETAIL_PLUGINS_LRN_CPU_KERNELS_HPP
#define DOVETAIL_PLUGINS_LRN_CPU_KERNELS_HPP

#include <stdint.h>

#include "dovetail/detail/isa.hpp"

constexpr int64_t kLrnMostWindow = 15, kLrnColumns = 256;  // columns of one item

// x and y are [outer, channels, inner].
struct LrnArgs {
  const void* x;
  void* y;
  int32_t type;  // of both
  int64_t outer, channels, inner;
  int64_t window;
  float alpha, beta, k;  // alpha is divided by the window
};

// Items [first, last): kLrnColumns columns of one element of outer.
DOVETAIL_KERNELS(void lrn(const LrnArgs& args, int64_t first, int64_t last);)

#endif
