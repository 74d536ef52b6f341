// SPDX-License-Identifier: Apache-2.0
// What the rows hand to the kernels of Fill.
#ifndef DOVETAIL_PLUGINS_FILL_CPU_KERNELS_HPP
#define DOVETAIL_PLUGINS_FILL_CPU_KERNELS_HPP

#include <stdint.h>

#include "dovetail/detail/isa.hpp"

struct FillArgs {
  void* y;
  int32_t type, kind;  // kind: FillKind
  int32_t rank;        // of y, 1 at least
  int64_t dims[8];
  double alpha, beta[8];          // beta: for each axis
  int64_t alpha_whole, whole[8];  // the same for integers
  uint64_t seed;
};

// Elements [first, last); first is a multiple of 4.
DOVETAIL_KERNELS(void fill(const FillArgs& args, int64_t first, int64_t last);)

#endif
