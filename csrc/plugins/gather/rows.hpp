// SPDX-License-Identifier: Apache-2.0
// What the rows of Gather have in common on all devices.
#ifndef DOVETAIL_PLUGINS_GATHER_ROWS_HPP
#define DOVETAIL_PLUGINS_GATHER_ROWS_HPP

#include "gather.hpp"

constexpr char kGatherTypes[] = DOVETAIL_MOVED_TYPES " i32 -> " DOVETAIL_MOVED_TYPES;
constexpr char kWideGatherTypes[] = DOVETAIL_MOVED_TYPES " i64 -> " DOVETAIL_MOVED_TYPES;

inline dovetail::IndexedBlocks gathered_blocks(const GatherParams& params, const dovetail::Run& run) {
  return dovetail::blocks_of(params.mode, params.axis, params.num_elementwise_dims, run.input(0), run.input(1),
                             run.output(0));
}

#endif
