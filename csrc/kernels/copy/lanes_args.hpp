// SPDX-License-Identifier: Apache-2.0
// Blocks of 16 channels (CHW16) whose lanes come from lanes of other blocks: what the kernel is given.
#ifndef DOVETAIL_KERNELS_COPY_LANES_ARGS_HPP
#define DOVETAIL_KERNELS_COPY_LANES_ARGS_HPP

#include <stdint.h>

#include "dovetail/detail/isa.hpp"

constexpr int kLanesOfBlock = 16;

// A block at its first position; those that follow are 16 values apart.
struct LaneSource {
  const float* from;
  int32_t lane[kLanesOfBlock];  // of this block, for each lane of the result; -1 where it comes from another one
};

// Lanes that no source gives become zero.
struct LaneBlock {
  float* to;
  int n_sources;
  LaneSource sources[kLanesOfBlock];
};

DOVETAIL_KERNELS(void copy_lanes(const LaneBlock& block, int64_t first, int64_t last);)  // positions [first, last)

#endif
