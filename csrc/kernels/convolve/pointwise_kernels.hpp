// SPDX-License-Identifier: Apache-2.0
// Tiles of a 1x1 kernel that moves by one, on blocks of 16 channels (CHW16).
#ifndef DOVETAIL_KERNELS_CONVOLVE_POINTWISE_KERNELS_HPP
#define DOVETAIL_KERNELS_CONVOLVE_POINTWISE_KERNELS_HPP

#include "kernels/convolve/blocked_tile.hpp"
#include "kernels/convolve/tile_sums.hpp"
#include "kernels/convolve/tile_taps.hpp"

namespace DT_ISA {
namespace {

// add_tap of one block of maps, where channel c of x counts gate[c] times.
template <int outputs>
inline __attribute__((always_inline)) void add_gated(VecF (&sum)[outputs][kVectors], const float* x, const float* w,
                                                     const float* gate, int64_t n_channels) {
  for (int64_t c = 0; c < n_channels; ++c, ++x, w += kBlock) {
    const VecF factor = splat(gate[c]);
    VecF weight[kVectors];
#pragma GCC unroll 4
    for (int i = 0; i < kVectors; ++i) weight[i] = load(w + i * kLanes) * factor;
#pragma GCC unroll 32
    for (int p = 0; p < outputs; ++p) {
      const VecF input = splat(x[p * kBlock]);
#pragma GCC unroll 4
      for (int i = 0; i < kVectors; ++i) sum[p][i] += weight[i] * input;
    }
  }
}

// One block of maps of a 1x1 kernel that moves by one: the outputs and their inputs lie side by side.
template <int outputs, bool is_gated>
void pointwise_tile(const ConvolveArgs& args, const BlockedTile& tile) {
  const int64_t plane = args.axis[1].in * args.axis[2].in * kBlock, steps = blocks_of(args.channels);
  const int64_t ending = (outputs + steps - 1) / steps;  // lines of y with each block of channels
  const float *weights = tile.weights, *x = tile.x + tile.w * kBlock, *next = tile.next;
  VecF sum[outputs][kVectors];
#pragma GCC unroll 4
  for (int i = 0; i < kVectors; ++i) {
    const VecF first = bias_lanes(tile.bias, i, tile.maps);
#pragma GCC unroll 32
    for (int p = 0; p < outputs; ++p) sum[p][i] = first;
  }
  TileSums<outputs, kVectors> sums(1, args.channels);
  int64_t line = 0, end = sums.channels;
  for (int64_t c0 = 0; c0 < args.channels; c0 += kBlock, x += plane, weights += kBlock * kBlock) {
    for (int64_t i = 0; next && i < tile.next_lines; ++i, next += 16) __builtin_prefetch(next, 0, 2);
    if (tile.is_far) {  // what the end of the tile reads and writes arrives while it is computed
      for (int64_t i = 0; i < ending && line < outputs; ++i, ++line) tile.finish.prefetch(tile.to + line * kBlock);
    }
    if (tile.is_first && c0 + kBlock < args.channels) {
#pragma GCC unroll 32
      for (int p = 0; p < outputs; ++p) __builtin_prefetch(x + plane + p * kBlock);
    }
    const int64_t n = args.channels - c0 < kBlock ? args.channels - c0 : kBlock;
    if constexpr (is_gated) {
      add_gated<outputs>(sum, x, weights, tile.gate + c0, n);
    } else {
      add_tap<outputs, kVectors>(sum, x, kBlock, 1, weights, 0, n);
    }
    if (c0 + kBlock < end) continue;
    sums.end_block(sum);
    end += sums.channels;
  }
  sums.end(sum);
  if (tile.finish.is_all) tile.finish.apply(sum, tile.to, tile.out);
#pragma GCC unroll 32
  for (int p = 0; p < outputs; ++p) write_maps<kVectors>(sum[p], tile.to + p * kBlock, 0, tile.maps);
}

template <int outputs, bool is_gated>
inline BlockedKernel pointwise_kernel_of(int64_t n) {
  if constexpr (outputs == 0) {
    return nullptr;
  } else {
    return n == outputs ? pointwise_tile<outputs, is_gated> : pointwise_kernel_of<outputs - 1, is_gated>(n);
  }
}

}  // namespace

BlockedKernel pointwise_kernel(int64_t n) { return pointwise_kernel_of<kPointwiseOutputs, false>(n); }
BlockedKernel gated_kernel(int64_t n) { return pointwise_kernel_of<kGatedOutputs, true>(n); }

}  // namespace DT_ISA

#endif
