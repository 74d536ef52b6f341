// SPDX-License-Identifier: Apache-2.0
// Depthwise convolution on blocks of 16 channels (CHW16): the kernels of a tile.
#ifndef DOVETAIL_KERNELS_CONVOLVE_DEPTHWISE_KERNELS_HPP
#define DOVETAIL_KERNELS_CONVOLVE_DEPTHWISE_KERNELS_HPP

#include "kernels/convolve/depthwise.hpp"

namespace DT_ISA {
namespace {

// Outputs [j, j + outputs) at taps [first, last) of a row, all of which are inside of x. Where taps and step are not 0,
// they are those of the convolution, whose dilation then is 1; of such a tile, the first `left` and the last `right`
// columns of inputs are outside of x and left out.
template <int outputs, int taps, int step, int left, int right>
void depthwise_tile(const ConvolveArgs& args, const DepthwiseRow& row, int64_t j, int64_t first, int64_t last) {
  constexpr int columns = (outputs - 1) * step + taps;
  const ConvolveAxis &b = args.axis[1], &c = args.axis[2];
  const int64_t in_step = (step ? step : c.in_step) * kBlock, tap_step = (taps ? 1 : c.off_step) * kBlock;
  const int64_t width = taps ? taps : c.taps;
  VecF sum[outputs][kVectors];
#pragma GCC unroll 4
  for (int i = 0; i < kVectors; ++i) {
    const VecF bias = bias_lanes(row.bias, i, row.maps);
#pragma GCC unroll 8
    for (int p = 0; p < outputs; ++p) sum[p][i] = bias;
  }
  for (int64_t th = row.first_tap; th < row.last_tap; ++th) {
    const int64_t h = row.h + th * b.off_step, w = j * c.in_step + c.off_first;
    const float* x = row.x + (h * c.in + w) * kBlock;
    const float* weight = row.weights + th * width * kBlock;
#pragma GCC unroll 7
    for (int64_t tw = taps ? 0 : first; tw < (taps ? taps : last); ++tw) {
#pragma GCC unroll 4
      for (int i = 0; i < kVectors; ++i) {
        const VecF tap = load(weight + tw * kBlock + i * kLanes);
#pragma GCC unroll 8
        for (int p = 0; p < outputs; ++p) {
          if (taps && (p * step + tw < left || p * step + tw >= columns - right)) continue;
          sum[p][i] += tap * load(x + p * in_step + tw * tap_step + i * kLanes);
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

// The common kernels, by how many columns of a tile are outside of x; null for the others.
template <int outputs, int taps, int step>
inline DepthwiseTile kernel_outside(int64_t left, int64_t right) {
  constexpr int half = taps / 2;
  if (left == 0 && right == 0) return depthwise_tile<outputs, taps, step, 0, 0>;
  if (left == half && right == 0) return depthwise_tile<outputs, taps, step, half, 0>;
  if (left == 0 && right == half) return depthwise_tile<outputs, taps, step, 0, half>;
  if (left == half && right == half) return depthwise_tile<outputs, taps, step, half, half>;
  if constexpr (half != 1 && taps < 7) {  // extents that the step does not divide
    if (left == 0 && right == 1) return depthwise_tile<outputs, taps, step, 0, 1>;
    if (left == half && right == 1) return depthwise_tile<outputs, taps, step, half, 1>;
  }
  return nullptr;
}

template <int outputs>
inline DepthwiseTile depthwise_kernel_of(const ConvolveAxis& c, int64_t n, int64_t left, int64_t right) {
  if constexpr (outputs == 0) {
    return nullptr;
  } else {
    if (n != outputs) return depthwise_kernel_of<outputs - 1>(c, n, left, right);
    const bool is_dense = c.off_step == 1;
    if (is_dense && c.taps == 3 && c.in_step == 1) return kernel_outside<outputs, 3, 1>(left, right);
    if (is_dense && c.taps == 3 && c.in_step == 2) return kernel_outside<outputs, 3, 2>(left, right);
    if (is_dense && c.taps == 5 && c.in_step == 1) return kernel_outside<outputs, 5, 1>(left, right);
    if (is_dense && c.taps == 5 && c.in_step == 2) return kernel_outside<outputs, 5, 2>(left, right);
    if (is_dense && c.taps == 7 && c.in_step == 1) return kernel_outside<outputs, 7, 1>(left, right);
    return left == 0 && right == 0 ? depthwise_tile<outputs, 0, 0, 0, 0> : nullptr;
  }
}

}  // namespace

DepthwiseTile depthwise_kernel(const ConvolveAxis& c, int64_t n, int64_t left, int64_t right) {
  return depthwise_kernel_of<kDepthwise>(c, n, left, right);
}
DepthwiseTile depthwise_edge() { return depthwise_tile<1, 0, 0, 0, 0>; }

void convolve_depthwise(const ConvolveArgs& args, int64_t first, int64_t last) {
  convolve_block_rows<DepthwiseSplit>(args, first, last);
}

}  // namespace DT_ISA

#endif
