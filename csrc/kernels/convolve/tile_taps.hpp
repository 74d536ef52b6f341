// SPDX-License-Identifier: Apache-2.0
// The products of a tile whose sums are in registers.
#ifndef DOVETAIL_KERNELS_CONVOLVE_TILE_TAPS_HPP
#define DOVETAIL_KERNELS_CONVOLVE_TILE_TAPS_HPP

#include "kernels/convolve/finish.hpp"

namespace DT_ISA {
namespace {

// Adds n_channels channels of one tap. pitch: distance of two outputs' inputs; channel: of two channels.
template <int outputs, int v>
inline __attribute__((always_inline)) void add_tap(VecF (&sum)[outputs][v], const float* x, int64_t pitch,
                                                   int64_t channel, const float* w, int64_t weight_block,
                                                   int64_t n_channels) {
  for (int64_t c = 0; c < n_channels; ++c, x += channel, w += kBlock) {
    VecF weight[v];
#pragma GCC unroll 4
    for (int i = 0; i < v; ++i) weight[i] = load(w + i / kVectors * weight_block + i % kVectors * kLanes);
#pragma GCC unroll 32
    for (int p = 0; p < outputs; ++p) {
      const VecF input = splat(x[p * pitch]);
#pragma GCC unroll 4
      for (int i = 0; i < v; ++i) sum[p][i] += weight[i] * input;
    }
  }
}

}  // namespace
}  // namespace DT_ISA

#endif
