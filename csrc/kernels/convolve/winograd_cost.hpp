// SPDX-License-Identifier: Apache-2.0
// Whether Winograd's convolution can pay for given extents: what cannot is not packed and timed while a plan is built.
// For rows files.
#ifndef DOVETAIL_KERNELS_CONVOLVE_WINOGRAD_COST_HPP
#define DOVETAIL_KERNELS_CONVOLVE_WINOGRAD_COST_HPP

#include "dovetail/plugin.hpp"

DOVETAIL_OPEN_NAMESPACE

// Of one group. Extents of y and images are -1 where they are not known; then they count as large. `rows` and `columns`
// are the outputs that tiles have to cover, each of which has one output of every phase.
struct WinogradExtents {
  int64_t channels, maps, height, width, images;
  int64_t taps = 3, phases = 1;
  int64_t rows = height, columns = width;
  int64_t row_dilation = 1, column_dilation = 1;
};

// Tiles of m outputs, `dilation` apart, that cover `outputs` on an axis.
inline int64_t winograd_tiles(int64_t outputs, int64_t dilation, int64_t m) {
  return dilation * (((outputs + dilation - 1) / dilation + m - 1) / m);
}

// The time of an output of 16 maps, in multiplications of vectors of 16 floats.
inline double direct_cost(const WinogradExtents& e) {
  return static_cast<double>(e.taps * e.taps) * static_cast<double>(e.channels * ((e.maps + 15) / 16));
}

// The same of tiles of 2 pairs + 2 inputs on an axis: the larger of computing and of reading the transformed weights, which overlap. Measured with
// AVX-512: a position takes as long as 13 multiplications in the transform of 16 channels, and as 9 in that of 16 maps;
// during a multiplication 8 bytes arrive from the level-3 cache or from memory.
inline double winograd_cost(const WinogradExtents& e, int pairs) {
  const int64_t m = 2 * pairs + 3 - e.taps, positions = (2 * pairs + 2) * (2 * pairs + 2);
  const double in_blocks = static_cast<double>((e.channels + 15) / 16);
  const double out_blocks = static_cast<double>(e.phases * ((e.maps + 15) / 16));
  const double products = static_cast<double>(e.channels) * out_blocks;
  const double of_tile = static_cast<double>(positions) * (products + 13 * in_blocks + 9 * out_blocks);
  if (e.height <= 0 || e.width <= 0 || e.images <= 0) return of_tile / static_cast<double>(m * m * e.phases);
  const double tiles = static_cast<double>(e.images) * static_cast<double>(winograd_tiles(e.rows, e.row_dilation, m)) *
                       static_cast<double>(winograd_tiles(e.columns, e.column_dilation, m));
  const double reading = static_cast<double>(positions) * products * 64 / 8;
  const double all = tiles * of_tile > reading ? tiles * of_tile : reading;
  return all / static_cast<double>(e.images) / static_cast<double>(e.height * e.width);
}

// Null, or why these tiles are not worth trying. What is estimated to take 1.4 times as long as another one has not been
// found to win on any processor.
inline const char* winograd_refusal(const WinogradExtents& e, int pairs) {
  const double own = winograd_cost(e, pairs), direct = direct_cost(e);
  if (own >= direct)
    unsupported("by transforms and whole tiles an output would cost %.0f multiplications, directly %.0f", own, direct);
  for (int other = 1; other <= (e.taps == 2 ? 2 : 3); ++other) {
    const double its = winograd_cost(e, other);
    const int m = 2 * other + 3 - static_cast<int>(e.taps);
    if (own > 1.4 * its)
      unsupported("an output would cost %.0f multiplications, with tiles of %dx%d outputs %.0f", own, m, m, its);
  }
  return nullptr;
}

DOVETAIL_CLOSE_NAMESPACE

#endif
