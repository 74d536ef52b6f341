// SPDX-License-Identifier: Apache-2.0
// Moves the outputs of merged phases from blocks of 16 maps to a linear tensor, and computes the epilogue there.
#ifndef DOVETAIL_KERNELS_CONVOLVE_SPREAD_HPP
#define DOVETAIL_KERNELS_CONVOLVE_SPREAD_HPP

#include "kernels/convolve/finish.hpp"

namespace DT_ISA {
namespace {

// Row `row` of one map of one image: each phase has every out_step[1]th of its outputs.
inline void spread_row(const SpreadArgs& args, int64_t image, int64_t map, int64_t row, float* y) {
  const int64_t blocks = blocks_of(args.phases[0] * args.phases[1] * args.maps), step = args.out_step[1];
  const int of_rows = static_cast<int>(row % args.out_step[0]);
  const MergedPhase& rows = args.phase[0][of_rows];
  const int64_t from_row = (row - rows.first) / args.out_step[0] + rows.shift;
  for (int p = 0; p < args.phases[1]; ++p) {
    const MergedPhase& columns = args.phase[1][p];
    const int64_t lane = (of_rows * args.phases[1] + p) * args.maps + map;
    const int64_t line = (image * blocks + lane / kBlock) * args.rows + from_row;
    const float* from = args.from + (line * args.columns + columns.shift) * kBlock + lane % kBlock;
    float* to = y + columns.first;
    for (int64_t j = 0; j < columns.count; ++j, from += kBlock, to += step) *to = *from;
  }
}

}  // namespace

// Items [first, last): images, maps, and rows of y.
void convolve_spread(const SpreadArgs& args, int64_t first, int64_t last) {
  constexpr int64_t kEnough = 2048;  // outputs that an epilogue is computed on at once
  const int64_t most = args.out[1] < kEnough ? kEnough / args.out[1] : 1;
  for (int64_t item = first, n; item < last; item += n) {
    const int64_t row = item % args.out[0], plane = item / args.out[0];
    const int64_t image = plane / args.maps, map = plane % args.maps;
    n = args.out[0] - row < last - item ? args.out[0] - row : last - item;
    if (n > most) n = most;
    float* const y = args.y + item * args.out[1];
    for (int64_t i = 0; i < n; ++i) spread_row(args, image, map, row + i, y + i * args.out[1]);
    if (!args.epilogue) continue;
    const int64_t all = n * args.out[1];  // neighbours in y
    EpilogueTile tile = {y, all, 1, static_cast<int>(all)};
    tile.offset = y - args.y;
    tile.row_step = all;
    tile.image = image;
    tile.channel = map;
    apply_epilogue(*args.epilogue, tile);
  }
}

}  // namespace DT_ISA

#endif
