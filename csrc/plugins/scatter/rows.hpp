// SPDX-License-Identifier: Apache-2.0
// What the rows of Scatter have in common on all devices.
#ifndef DOVETAIL_PLUGINS_SCATTER_ROWS_HPP
#define DOVETAIL_PLUGINS_SCATTER_ROWS_HPP

#include "scatter.hpp"

constexpr char kScatterTypes[] = DOVETAIL_MOVED_TYPES " i32 " DOVETAIL_MOVED_TYPES " -> " DOVETAIL_MOVED_TYPES;
constexpr char kWideScatterTypes[] = DOVETAIL_MOVED_TYPES " i64 " DOVETAIL_MOVED_TYPES " -> " DOVETAIL_MOVED_TYPES;

inline dovetail::IndexedBlocks scattered_blocks(const ScatterParams& params, const dovetail::Run& run) {
  return dovetail::blocks_of(params.gather_mode(), params.axis, 0, run.input(0), run.input(1), run.input(2));
}

#endif
