// SPDX-License-Identifier: Apache-2.0
// A tile of outputs of a linear tensor: the inputs of its taps, and the positions of its outputs.
#ifndef DOVETAIL_KERNELS_CONVOLVE_TILE_HPP
#define DOVETAIL_KERNELS_CONVOLVE_TILE_HPP

#include "dovetail/epilogue_tile.hpp"
#include "kernels/convolve/args.hpp"
#include "kernels/simd/convert.hpp"
#include "kernels/simd/multiply.hpp"

namespace DT_ISA {
namespace {

static_assert(kTile == kConvolveTile, "rows count tiles of this size");

inline int64_t in_volume(const ConvolveArgs& args) { return args.axis[0].in * args.axis[1].in * args.axis[2].in; }
inline int64_t out_volume(const ConvolveArgs& args) { return args.axis[0].out * args.axis[1].out * args.axis[2].out; }
inline int64_t taps_of(const ConvolveArgs& args) { return args.axis[0].taps * args.axis[1].taps * args.axis[2].taps; }
inline int64_t outputs_of(const ConvolveArgs& args) {
  return args.axis[0].count * args.axis[1].count * args.axis[2].count;
}

// A run of neighbours in x that becomes lanes [lane, lane + n).
struct LaneRun {
  int64_t offset;
  int lane, n;
};

// Splits offsets into runs, leaving out those outside; more than `most` come back as most + 1.
inline int find_runs(const int64_t* offsets, int n, LaneRun* runs, int most) {
  int n_runs = 0;
  for (int p = 0; p < n; ++p) {
    if (offsets[p] < 0) continue;
    if (n_runs > 0) {
      LaneRun& last = runs[n_runs - 1];
      if (last.lane + last.n == p && offsets[p] == last.offset + last.n) {
        ++last.n;
        continue;
      }
    }
    if (n_runs == most) return most + 1;
    runs[n_runs++] = {offsets[p], p, 1};
  }
  return n_runs;
}

// Outputs [first, first + n) of one image and group, n <= kTile, numbered row-major within the phase.
struct Tile {
  int64_t image, group, first;
  int n;
  int64_t at[3][kTile];  // position on each axis
  int64_t out[kTile];    // offset in a plane of y

  void locate(const ConvolveArgs& args, int64_t item) {
    const int64_t n_outputs = outputs_of(args), n_tiles = (n_outputs + kTile - 1) / kTile;
    first = item % n_tiles * kTile;
    group = item / n_tiles % args.groups;
    image = item / n_tiles / args.groups;
    n = static_cast<int>(n_outputs - first < kTile ? n_outputs - first : kTile);
    int64_t w = first % args.axis[2].count, h = first / args.axis[2].count % args.axis[1].count;
    int64_t d = first / args.axis[2].count / args.axis[1].count;
    const ConvolveAxis &a = args.axis[0], &b = args.axis[1], &c = args.axis[2];
    for (int p = 0; p < n; ++p) {
      at[0][p] = d;
      at[1][p] = h;
      at[2][p] = w;
      const int64_t row = (a.out_first + d * a.out_step) * b.out + b.out_first + h * b.out_step;
      out[p] = row * c.out + c.out_first + w * c.out_step;
      if (++w == args.axis[2].count) {
        w = 0;
        if (++h == args.axis[1].count) {
          h = 0;
          ++d;
        }
      }
    }
  }

  // Offsets in a plane of x that tap (td, th, tw) meets; -1 outside of it.
  void inputs(const ConvolveArgs& args, int64_t td, int64_t th, int64_t tw, int64_t* offsets) const {
    const ConvolveAxis &a = args.axis[0], &b = args.axis[1], &c = args.axis[2];
    const int64_t od = a.off_first + td * a.off_step, oh = b.off_first + th * b.off_step;
    const int64_t ow = c.off_first + tw * c.off_step;
    for (int p = 0; p < n; ++p) {
      const int64_t d = at[0][p] * a.in_step + od, h = at[1][p] * b.in_step + oh, w = at[2][p] * c.in_step + ow;
      const bool is_inside = d >= 0 && d < a.in && h >= 0 && h < b.in && w >= 0 && w < c.in;
      offsets[p] = is_inside ? (d * b.in + h) * c.in + w : -1;
    }
  }

  // Computes the epilogue on n values of each of the maps [map, map + n_maps), kTile apart.
  void finish(const ConvolveArgs& args, int64_t map, int64_t n_maps, float* values) const {
    if (!args.epilogue) return;
    const int64_t volume = out_volume(args), of_all = group * args.maps + map;
    EpilogueTile tile = {values, kTile, static_cast<int>(n_maps), n};
    tile.offset = (image * args.groups * args.maps + of_all) * volume + out[0];
    tile.row_step = volume;
    tile.image = image;
    tile.channel = of_all;
    tile.row_channel = 1;
    if (out[n - 1] - out[0] == n - 1) return apply_epilogue(*args.epilogue, tile);
    tile.offset -= out[0];  // outputs that do not lie side by side: each is a row of its own
    tile.row_offsets = out;
    tile.pitch = 1;
    tile.rows = n;
    tile.columns = 1;
    tile.row_channel = 0;
    for (int64_t m = 0; m < n_maps; ++m) {
      apply_epilogue(*args.epilogue, tile);
      tile.values += kTile;
      tile.offset += volume;
      ++tile.channel;
    }
  }

  // Writes n values of one map.
  void write(const ConvolveArgs& args, int64_t map, const float* values) const {
    const int64_t plane = ((image * args.groups + group) * args.maps + map) * out_volume(args);
    if (out[n - 1] - out[0] == n - 1) return store_floats(values, args.y, args.y_type, plane + out[0], n);
    if (args.y_type == kF32) {
      float* y = static_cast<float*>(args.y) + plane;
      for (int p = 0; p < n; ++p) y[out[p]] = values[p];
    } else {
      for (int p = 0; p < n; ++p) store_floats(values + p, args.y, args.y_type, plane + out[p], 1);
    }
  }
};

}  // namespace
}  // namespace DT_ISA

#endif
