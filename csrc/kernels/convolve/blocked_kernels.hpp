// SPDX-License-Identifier: Apache-2.0
// A tile of neighbouring outputs times one or two blocks of maps stays in registers while taps and channels run. x is CHW16,
// or linear as a first layer's.
#ifndef DOVETAIL_KERNELS_CONVOLVE_BLOCKED_KERNELS_HPP
#define DOVETAIL_KERNELS_CONVOLVE_BLOCKED_KERNELS_HPP

#include "kernels/convolve/blocked_tile.hpp"
#include "kernels/convolve/tile_sums.hpp"
#include "kernels/convolve/tile_taps.hpp"

namespace DT_ISA {
namespace {

// Adds channels as add_tap does, where each output's inputs are anywhere.
template <int outputs, int v>
inline __attribute__((always_inline)) void add_tap_at(VecF (&sum)[outputs][v], const float* const (&x)[outputs],
                                                      const float* w, int64_t weight_block, int64_t n_channels) {
  for (int64_t c = 0; c < n_channels; ++c, w += kBlock) {
    VecF weight[v];
#pragma GCC unroll 4
    for (int i = 0; i < v; ++i) weight[i] = load(w + i / kVectors * weight_block + i % kVectors * kLanes);
#pragma GCC unroll 16
    for (int p = 0; p < outputs; ++p) {
      const VecF input = splat(x[p][c]);
#pragma GCC unroll 4
      for (int i = 0; i < v; ++i) sum[p][i] += weight[i] * input;
    }
  }
}

// Where the outputs of a tile have their inputs at tap (th, tw): a block of zeros outside of x. Rows of tiles that are
// not flat are inside.
template <int outputs>
inline __attribute__((always_inline)) void find_inputs(const ConvolveArgs& args, const BlockedTile& tile,
                                                       const float* x, int64_t th, int64_t tw,
                                                       const float* (&at)[outputs]) {
  static constexpr float kZeros[kBlock] = {};
  const ConvolveAxis &b = args.axis[1], &c = args.axis[2];
  if (tile.has_inputs) {
    const int32_t* const inputs = tile.inputs[th * c.taps + tw];
#pragma GCC unroll 16
    for (int p = 0; p < outputs; ++p) at[p] = inputs[p] < 0 ? kZeros : x + inputs[p];
    return;
  }
  const int64_t dh = th * b.off_step, dw = tw * c.off_step;
  if (tile.is_flat) {
    for (int p = 0; p < outputs; ++p) {
      const int64_t h = tile.hs[p] + dh, w = tile.ws[p] + dw;
      const bool is_inside = h >= 0 && h < b.in && w >= 0 && w < c.in;
      at[p] = is_inside ? x + (h * c.in + w) * kBlock : kZeros;
    }
    return;
  }
  const int64_t w = tile.w + dw;
  const float* const row = x + (tile.h + dh) * c.in * kBlock;
#pragma GCC unroll 16
  for (int p = 0; p < outputs; ++p) {
    const int64_t column = w + p * c.in_step;
    at[p] = static_cast<uint64_t>(column) < static_cast<uint64_t>(c.in) ? row + column * kBlock : kZeros;
  }
}

// Copies the inputs of n outputs at tap (th, tw) of a linear x to [n][kBlock], zeros outside of x.
inline void gather_tap(const ConvolveArgs& args, const BlockedTile& tile, const float* x, int64_t th, int64_t tw, int n,
                       int64_t n_channels, float* to) {
  const ConvolveAxis &b = args.axis[1], &c = args.axis[2];
  const int64_t plane = b.in * c.in;
  for (int p = 0; p < n; ++p, to += kBlock) {
    const int64_t h = tile.row_of(p) + th * b.off_step, w = tile.column_of(c, p) + tw * c.off_step;
    const bool is_inside = h >= 0 && h < b.in && w >= 0 && w < c.in;
    for (int64_t k = 0; k < n_channels; ++k) to[k] = is_inside ? x[k * plane + h * c.in + w] : 0.0f;
  }
}

// Of a tile at an edge of a linear x: the inputs of one row of taps, those outside of x as zeros, `kRowOfTile` for each
// channel.
constexpr int64_t kRowOfTile = 64;
inline void pad_row(const ConvolveAxis& c, const float* x, int64_t plane, int64_t w, int64_t n, int64_t n_channels,
                    float* to) {
  const int64_t first = w < 0 ? -w : 0, end = w + n > c.in ? c.in - w : n;
  for (int64_t k = 0; k < n_channels; ++k, x += plane, to += kRowOfTile) {
    for (int64_t i = 0; i < n; ++i) to[i] = i >= first && i < end ? x[w + i] : 0.0f;
  }
}

// `step`: distance of two neighbours' inputs that are read where they are; 0: any.
template <int outputs, int blocks, int step, bool is_linear>
void blocked_tile(const ConvolveArgs& args, const BlockedTile& tile) {
  constexpr int v = blocks * kVectors;
  const ConvolveAxis &b = args.axis[1], &c = args.axis[2];
  const int64_t plane = b.in * c.in;
  const int64_t last = (outputs - 1) * static_cast<int64_t>(step);
  const int64_t width = last + (c.taps - 1) * c.off_step + 1;  // of a row of inputs
  const bool is_padded = is_linear && step != 0 && c.off_step > 0 && width <= kRowOfTile && c.taps > 1 &&
                         (tile.w < 0 || tile.w + width > c.in);
  float padded[is_linear ? kBlock * kRowOfTile : 1];
  const float* next = tile.next;
  VecF sum[outputs][v];
#pragma GCC unroll 4
  for (int i = 0; i < v; ++i) {
    const VecF first = bias_lanes(tile.bias, i, tile.maps);
#pragma GCC unroll 16
    for (int p = 0; p < outputs; ++p) sum[p][i] = first;
  }
  if (tile.is_far) {  // stores then wait less for lines of y
#pragma GCC unroll 16
    for (int p = 0; p < outputs; ++p) {
      for (int i = 0; i < blocks; ++i) __builtin_prefetch(tile.to + tile.out[p] + i * tile.to_block, 1);
    }
  }
  TileSums<outputs, v> sums(b.taps * c.taps, args.channels);
  const float* weights = tile.weights;
  for (int64_t first = 0; first < args.channels; first += sums.channels) {
    const int64_t end = args.channels - first < sums.channels ? args.channels : first + sums.channels;
    for (int64_t c0 = first; c0 < end; c0 += kBlock) {
      const int64_t n_channels = args.channels - c0 < kBlock ? args.channels - c0 : kBlock;
      const float* x = tile.x + c0 * plane;
      for (int64_t th = 0; th < b.taps; ++th) {
        const int64_t h = tile.h + th * b.off_step;
        if (!tile.is_flat && (h < 0 || h >= b.in)) {
          weights += c.taps * kBlock * kBlock;
          if (next) next += c.taps * tile.next_lines * 16;
          continue;
        }
        if (is_padded) pad_row(c, x + h * c.in, plane, tile.w, width, n_channels, padded);
        for (int64_t tw = 0; tw < c.taps; ++tw, weights += kBlock * kBlock) {
          if (next) {
            for (int64_t i = 0; i < tile.next_lines; ++i) __builtin_prefetch(next + i * 16, 0, 2);
            next += tile.next_lines * 16;
          }
          const int64_t w = tile.w + tw * c.off_step;
          if (step != 0 && !tile.is_flat && (w >= c.in || w + last < 0)) continue;  // all inputs are outside
          if (step != 0 && !tile.is_flat && (is_padded || (w >= 0 && w + last < c.in))) {
            const float* row = is_padded ? padded + tw * c.off_step : x + (h * c.in + w) * (is_linear ? 1 : kBlock);
            const int64_t channel = is_padded ? kRowOfTile : is_linear ? plane : 1;
            if (is_linear && n_channels == 3) {  // of a picture: without a loop
              add_tap<outputs, v>(sum, row, step, channel, weights, tile.weight_block, 3);
            } else {
              add_tap<outputs, v>(sum, row, step * (is_linear ? 1 : kBlock), channel, weights, tile.weight_block,
                                  n_channels);
            }
          } else if (is_linear) {
            float scratch[outputs * kBlock];
            gather_tap(args, tile, x, th, tw, outputs, n_channels, scratch);
            add_tap<outputs, v>(sum, scratch, kBlock, 1, weights, tile.weight_block, n_channels);
          } else {
            const float* at[outputs];
            find_inputs<outputs>(args, tile, x, th, tw, at);
            add_tap_at<outputs, v>(sum, at, weights, tile.weight_block, n_channels);
          }
        }
      }
    }
    sums.end_block(sum);
  }
  sums.end(sum);
  if (tile.finish.is_all) tile.finish.apply(sum, tile.to, tile.out);
#pragma GCC unroll 16
  for (int p = 0; p < outputs; ++p) write_maps<v>(sum[p], tile.to + tile.out[p], tile.to_block, tile.maps);
}

// Kernels that read a linear x in place are made for whole pairs of blocks alone; it is first layers that have them.
template <int outputs, bool is_linear>
inline BlockedKernel blocked_kernel_of(int64_t n, int64_t blocks, int64_t step) {
  if constexpr (outputs == 0) {
    return nullptr;
  } else {
    if (n != outputs) return blocked_kernel_of<outputs - 1, is_linear>(n, blocks, step);
    if (blocks == kMapBlocks) {
      if (step == 1) return blocked_tile<outputs, kMapBlocks, 1, is_linear>;
      if (step == 2) return blocked_tile<outputs, kMapBlocks, 2, is_linear>;
      return blocked_tile<outputs, kMapBlocks, 0, is_linear>;
    }
    if constexpr (!is_linear) {
      if (step == 1) return blocked_tile<outputs, 1, 1, is_linear>;
      if (step == 2) return blocked_tile<outputs, 1, 2, is_linear>;
    }
    return blocked_tile<outputs, 1, 0, is_linear>;
  }
}

}  // namespace
}  // namespace DT_ISA

#endif
