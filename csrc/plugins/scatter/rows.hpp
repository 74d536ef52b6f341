// SPDX-License-Identifier: Apache-2.0
// What the rows of Scatter have in common on all devices.
#ifndef DOVETAIL_PLUGINS_SCATTER_ROWS_HPP
#define DOVETAIL_PLUGINS_SCATTER_ROWS_HPP

#include "combine.hpp"
#include "dovetail/indexed_blocks.hpp"
#include "scatter.hpp"

constexpr char kScatterTypes[] = DOVETAIL_MOVED_TYPES " i32 " DOVETAIL_MOVED_TYPES " -> " DOVETAIL_MOVED_TYPES;
constexpr char kWideScatterTypes[] = DOVETAIL_MOVED_TYPES " i64 " DOVETAIL_MOVED_TYPES " -> " DOVETAIL_MOVED_TYPES;

enum ScatterMode : int32_t { kScatterElement, kScatterNd };

// The numbers of the modes are others than Gather's.
inline int32_t gather_mode(int32_t mode) {
  return mode == kScatterElement ? dovetail::kGatherElement : mode == kScatterNd ? dovetail::kGatherNd : -1;
}

template <class T>
const char* outcome_fault(const T& x, const T& y) {
  if (x.rank() != y.rank()) return "the ranks of x and the output differ";
  for (int i = 0; i < x.rank(); ++i) {
    if (x.dims()[i] != y.dims()[i]) return "the extents of x and the output differ";
  }
  return nullptr;
}

inline const char* fits_scatter(const ScatterParams& params, const dovetail::Descs& inputs,
                                const dovetail::Descs& outputs) {
  if (const char* fault = outcome_fault(inputs[0], outputs[0])) return fault;
  if (params.reduction < kReplace || params.reduction > kMin) return "there is no such reduction";
  return dovetail::blocks_fault(gather_mode(params.mode), params.axis, 0, inputs[0], inputs[1], inputs[2]);
}

inline dovetail::IndexedBlocks scattered_blocks(const ScatterParams& params, const dovetail::Run& run) {
  if (const char* fault = outcome_fault(run.input(0), run.output(0))) dovetail::fail(DT_SHAPE, "%s", fault);
  return dovetail::blocks_of(gather_mode(params.mode), params.axis, 0, run.input(0), run.input(1), run.input(2));
}

#endif
