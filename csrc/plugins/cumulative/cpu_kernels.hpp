// SPDX-License-Identifier: Apache-2.0
// What the rows hand to the kernels of Cumulative.
#ifndef DOVETAIL_PLUGINS_CUMULATIVE_CPU_KERNELS_HPP
#define DOVETAIL_PLUGINS_CUMULATIVE_CPU_KERNELS_HPP

#include <stdint.h>

#include "dovetail/detail/isa.hpp"

constexpr int64_t kCumulativeColumns = 256;  // of one item

// x and y are [outer, n, inner]; it runs along n.
struct CumulativeArgs {
  const void* x;
  void* y;
  int32_t type;  // of both
  int32_t is_product, exclusive, reverse;
  int64_t outer, n, inner;

  int64_t pieces() const { return (inner + kCumulativeColumns - 1) / kCumulativeColumns; }
};

// Items [first, last): kCumulativeColumns columns of one element of outer.
DOVETAIL_KERNELS(void cumulative(const CumulativeArgs& args, int64_t first, int64_t last);)

#endif
