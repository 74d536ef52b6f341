// SPDX-License-Identifier: Apache-2.0
// Blocks of 16 channels whose lanes come from lanes of other blocks: each vector is permuted, and gives the lanes that
// come from it.
// Instruction sets: all.
#ifndef DOVETAIL_KERNELS_COPY_CPU_GENERIC_HPP
#define DOVETAIL_KERNELS_COPY_CPU_GENERIC_HPP

#include "kernels/copy/lanes_args.hpp"
#include "kernels/simd/permute.hpp"

namespace DT_ISA {
namespace {

constexpr int kVectorsOfBlock = kLanesOfBlock / kLanes;

// What one vector of the result takes from one vector of a source.
struct LanesTaken {
  const float* from;
  VecI lane, is_taken;  // -1 in lanes that are taken
};

// The vectors that vector i of the result takes lanes from.
inline int lanes_taken(const LaneBlock& block, int i, LanesTaken* taken) {
  int n = 0;
  for (int s = 0; s < block.n_sources; ++s) {
    for (int v = 0; v < kVectorsOfBlock; ++v) {
      LanesTaken one = {block.sources[s].from + v * kLanes, {}, {}};
      bool is_any = false;
      for (int k = 0; k < kLanes; ++k) {
        const int32_t lane = block.sources[s].lane[i * kLanes + k];
        const bool is_here = lane >= v * kLanes && lane < (v + 1) * kLanes;
        one.lane[k] = is_here ? lane - v * kLanes : 0;
        one.is_taken[k] = is_here ? -1 : 0;
        is_any = is_any || is_here;
      }
      if (is_any) taken[n++] = one;
    }
  }
  return n;
}

template <int n>
void copy_taken(const LanesTaken* taken, float* to, int64_t first, int64_t last) {
  LanesTaken own[n];
  for (int s = 0; s < n; ++s) own[s] = taken[s];
  for (int64_t p = first * kLanesOfBlock; p < last * kLanesOfBlock; p += kLanesOfBlock) {
    VecF v = {};
#pragma GCC unroll 4
    for (int s = 0; s < n; ++s) v = own[s].is_taken ? permute(load(own[s].from + p), own[s].lane) : v;
    store(to + p, v);
  }
}

void copy_all_taken(const LanesTaken* taken, int n, float* to, int64_t first, int64_t last) {
  for (int64_t p = first * kLanesOfBlock; p < last * kLanesOfBlock; p += kLanesOfBlock) {
    VecF v = {};
    for (int s = 0; s < n; ++s) v = taken[s].is_taken ? permute(load(taken[s].from + p), taken[s].lane) : v;
    store(to + p, v);
  }
}

}  // namespace

void copy_lanes(const LaneBlock& block, int64_t first, int64_t last) {
  LanesTaken taken[kLanesOfBlock];  // each gives one lane of the result, at least
  for (int i = 0; i < kVectorsOfBlock; ++i) {
    const int n = lanes_taken(block, i, taken);
    float* const to = block.to + i * kLanes;
    if (n == 1) {
      copy_taken<1>(taken, to, first, last);
    } else if (n == 2) {
      copy_taken<2>(taken, to, first, last);
    } else if (n == 3) {
      copy_taken<3>(taken, to, first, last);
    } else {
      copy_all_taken(taken, n, to, first, last);
    }
  }
}

}  // namespace DT_ISA

#endif
