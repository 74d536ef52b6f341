// SPDX-License-Identifier: Apache-2.0
// Convolution of groups of 2, 4 or 8 channels and as many maps, or of one channel and 2 or 4 maps, on blocks of 16
// channels (CHW16), in float32. Lane m of a vector of sums meets the channels of its own group only: inputs are permuted
// so that it holds channel c of them.
// Weights: [block][taps][channel of a group][16 maps].
#ifndef DOVETAIL_KERNELS_CONVOLVE_GROUPED_HPP
#define DOVETAIL_KERNELS_CONVOLVE_GROUPED_HPP

#include "kernels/convolve/depthwise.hpp"
#include "kernels/simd/permute.hpp"

namespace DT_ISA {
namespace {

// Channel c of the group of each lane of vector i of a block. Groups have `width` channels, or one of them and `multiple`
// maps: then the maps of a block are of channels [first, first + 16 / multiple) of a block of x.
template <int width, int multiple>
inline __attribute__((always_inline)) VecF channel_of_groups(const float* x, int i, int64_t c, VecI lanes,
                                                             int64_t first) {
  if constexpr (multiple > 1) {
    const int64_t at = first + i * kLanes / multiple;
    return permute(load(x + at / kLanes * kLanes), lanes + static_cast<int32_t>(at % kLanes));
  } else if constexpr (width >= kLanes) {
    return splat(x[i * kLanes / width * width + c]);
  } else {
    return permute(load(x + i * kLanes), lanes);
  }
}

// Outputs [j, j + outputs) of a row. Where `step` is not 0, it is that of three neighbouring taps, which share the
// permuted inputs.
template <int outputs, int width, int multiple, int step>
void grouped_tile(const ConvolveArgs& args, const DepthwiseRow& row, int64_t j) {
  alignas(64) static constexpr float kZeros[kBlock] = {};
  constexpr int taps = 3, columns = step ? (outputs - 1) * step + taps : outputs;
  const ConvolveAxis &b = args.axis[1], &c = args.axis[2];
  const int64_t n_turns = step ? 1 : c.taps, turn_weights = (step ? taps : 1) * width * kBlock;
  VecI first_lanes;
  for (int i = 0; i < kLanes; ++i) first_lanes[i] = multiple > 1 ? i / multiple : i / width * width;
  VecF sum[outputs][kVectors];
#pragma GCC unroll 4
  for (int i = 0; i < kVectors; ++i) {
    const VecF bias = bias_lanes(row.bias, i, row.maps);
#pragma GCC unroll 8
    for (int p = 0; p < outputs; ++p) sum[p][i] = bias;
  }
  for (int64_t turn = 0; turn < n_turns; ++turn) {
    int64_t at[columns];  // of the inputs in their row of x; -1 outside of it
    for (int q = 0; q < columns; ++q) {
      const int64_t w = j * c.in_step + c.off_first + (step ? q : q * c.in_step + turn * c.off_step);
      at[q] = w >= 0 && w < c.in ? w * kBlock : -1;
    }
    for (int64_t th = row.first_tap; th < row.last_tap; ++th) {
      const float* const x = row.x + (row.h + th * b.off_step) * c.in * kBlock;
      const float* const weights = row.weights + (th * n_turns + turn) * turn_weights;
      const float* from[columns];
      for (int q = 0; q < columns; ++q) from[q] = at[q] < 0 ? kZeros : x + at[q];
      VecI lanes = first_lanes;
      for (int64_t k = 0; k < width; ++k, lanes += 1) {
#pragma GCC unroll 4
        for (int i = 0; i < kVectors; ++i) {
          const float* const w = weights + k * kBlock + i * kLanes;
          VecF tap[taps];
#pragma GCC unroll 3
          for (int t = 0; t < (step ? taps : 1); ++t) tap[t] = load(w + t * width * kBlock);
#pragma GCC unroll 32
          for (int q = 0; q < columns; ++q) {
            const VecF v = channel_of_groups<width, multiple>(from[q], i, k, lanes, row.first_channel);
            if constexpr (step == 0) {
              sum[q][i] += tap[0] * v;
            } else {
#pragma GCC unroll 3
              for (int t = 0; t < taps; ++t) {
                const int p = (q - t) / step;
                if (q >= t && (q - t) % step == 0 && p < outputs) sum[p][i] += tap[t] * v;
              }
            }
          }
        }
      }
    }
  }
  int64_t out[outputs];
#pragma GCC unroll 8
  for (int p = 0; p < outputs; ++p) out[p] = p * row.step;
  if (row.finish.is_all) row.finish.apply(sum, row.to, out);
#pragma GCC unroll 8
  for (int p = 0; p < outputs; ++p) write_maps<kVectors>(sum[p], row.to + out[p], 0, row.maps);
}

typedef void (*GroupedTile)(const ConvolveArgs& args, const DepthwiseRow& row, int64_t j);

template <int outputs, int width, int multiple>
inline GroupedTile grouped_kernel(const ConvolveAxis& c, int64_t n) {
  if constexpr (outputs == 0) {
    return nullptr;
  } else {
    if (n != outputs) return grouped_kernel<outputs - 1, width, multiple>(c, n);
    const bool is_three = c.taps == 3 && c.off_step == 1;
    if (is_three && c.in_step == 1) return grouped_tile<outputs, width, multiple, 1>;
    if (is_three && c.in_step == 2) return grouped_tile<outputs, width, multiple, 2>;
    return grouped_tile<outputs, width, multiple, 0>;
  }
}

// A row of outputs, cut into tiles of nearly equal size.
template <int width, int multiple>
struct GroupedSplit {
  int64_t size, last;
  GroupedTile tile, last_tile;

  explicit GroupedSplit(const ConvolveAxis& c) {
    const int64_t tiles = (c.count + kDepthwise - 1) / kDepthwise;
    size = tiles > 0 ? (c.count + tiles - 1) / tiles : 1;
    last = c.count > 0 ? c.count - (c.count - 1) / size * size : size;
    tile = grouped_kernel<kDepthwise, width, multiple>(c, size);
    last_tile = grouped_kernel<kDepthwise, width, multiple>(c, last);
  }
  // to(j, n): where the sums of outputs [j, j + n) go
  template <class To>
  void run(const ConvolveArgs& args, DepthwiseRow& row, const To& to) const {
    for (int64_t j = 0, n; j < args.axis[2].count; j += n) {
      n = args.axis[2].count - j < size ? last : size;
      row.to = to(j, n);
      (n == size ? tile : last_tile)(args, row, j);
    }
  }
};

}  // namespace

// Items are those of depthwise.hpp.
void convolve_grouped(const ConvolveArgs& args, int64_t first, int64_t last) {
  if (args.channels == 1 && args.maps == 2) return convolve_block_rows<GroupedSplit<1, 2>>(args, first, last);
  if (args.channels == 1) return convolve_block_rows<GroupedSplit<1, 4>>(args, first, last);
  if (args.channels == 2) return convolve_block_rows<GroupedSplit<2, 1>>(args, first, last);
  if (args.channels == 4) return convolve_block_rows<GroupedSplit<4, 1>>(args, first, last);
  return convolve_block_rows<GroupedSplit<8, 1>>(args, first, last);
}

}  // namespace DT_ISA

#endif
