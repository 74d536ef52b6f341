// SPDX-License-Identifier: Apache-2.0
// Inputs of a tile as pairs of channels next to each other, [taps, channels / 2, kTile, 2]: INT8 as 16-bit integers,
// and bfloat16.
#ifndef DOVETAIL_KERNELS_CONVOLVE_PAIRS_HPP
#define DOVETAIL_KERNELS_CONVOLVE_PAIRS_HPP

#include "kernels/convolve/tile.hpp"

namespace DT_ISA {
namespace {

// n neighbours of two channels, next to each other; `odd` is false where there is no second channel.
template <class X, class Y>
inline void interleave(const X* x, int64_t plane, bool odd, int n, Y* to) {
  if (odd) {
    for (int p = 0; p < n; ++p) {
      to[2 * p] = x[p];
      to[2 * p + 1] = x[plane + p];
    }
  } else {
    for (int p = 0; p < n; ++p) {
      to[2 * p] = x[p];
      to[2 * p + 1] = 0;
    }
  }
}

template <class X, class Y>
inline void gather_pairs(const ConvolveArgs& args, const Tile& tile, Y* b) {
  constexpr int kMostRuns = kTile;
  const int64_t plane = in_volume(args);
  const X* x = static_cast<const X*>(args.x) + (tile.image * args.groups + tile.group) * args.channels * plane;
  int64_t offsets[kTile];
  LaneRun runs[kMostRuns];
  for (int64_t td = 0; td < args.axis[0].taps; ++td) {
    for (int64_t th = 0; th < args.axis[1].taps; ++th) {
      for (int64_t tw = 0; tw < args.axis[2].taps; ++tw) {
        tile.inputs(args, td, th, tw, offsets);
        const int n_runs = find_runs(offsets, tile.n, runs, kMostRuns);
        const bool is_full = n_runs == 1 && runs[0].n == kTile;
        for (int64_t c = 0; c < args.channels; c += 2, b += 2 * kTile) {
          const bool odd = c + 1 < args.channels;
          const X* channel = x + c * plane;
          if (is_full) {
            interleave(channel + runs[0].offset, plane, odd, kTile, b);
            continue;
          }
          memset(b, 0, sizeof(Y) * 2 * kTile);
          for (int r = 0; r < n_runs; ++r) {
            interleave(channel + runs[r].offset, plane, odd, runs[r].n, b + 2 * runs[r].lane);
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace DT_ISA

#endif
