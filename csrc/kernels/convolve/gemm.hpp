// SPDX-License-Identifier: Apache-2.0
// Convolution of linear tensors in float32 as small matrix products: the inputs that a tile of outputs needs are
// gathered once, [taps * channels, kTile], and multiplied by all panels of weights, [panel][taps * channels][maps of
// the panel].
#ifndef DOVETAIL_KERNELS_CONVOLVE_GEMM_HPP
#define DOVETAIL_KERNELS_CONVOLVE_GEMM_HPP

#include "kernels/convolve/tile.hpp"

namespace DT_ISA {
namespace {

// One vector of kLanes outputs for each channel: b[c * kTile ...]. x points at the first channel's plane.
inline void gather_vector(const void* x, int32_t type, int64_t first, int64_t plane, int64_t channels,
                          const int64_t* offsets, int n, float* b) {
  constexpr int kMostRuns = 3;
  LaneRun runs[kMostRuns + 1];
  const int n_runs = type == kF32 ? find_runs(offsets, n, runs, kMostRuns) : kMostRuns + 1;
  if (n_runs <= kMostRuns) {
    const float* source = static_cast<const float*>(x) + first;
    for (int64_t c = 0; c < channels; ++c, source += plane, b += kTile) {
      VecF v = {};
      for (int r = 0; r < n_runs; ++r) {
        const int64_t start = (runs[r].offset - runs[r].lane) * 4;
        v = load_lanes(reinterpret_cast<uintptr_t>(source) + static_cast<uintptr_t>(start), runs[r].lane, runs[r].n, v);
      }
      store(b, v);
    }
    return;
  }
  for (int64_t c = 0; c < channels; ++c, first += plane, b += kTile) {
    for (int p = 0; p < n; ++p) b[p] = offsets[p] < 0 ? 0.0f : read_float(x, type, first + offsets[p]);
    for (int p = n; p < kLanes; ++p) b[p] = 0.0f;
  }
}

// Offsets of the next vector hold n outputs; those after them count as outside.
inline void gather(const ConvolveArgs& args, const Tile& tile, float* b) {
  const int64_t plane = in_volume(args);
  const int64_t first = (tile.image * args.groups + tile.group) * args.channels * plane;
  int64_t offsets[kTile];
  for (int64_t td = 0; td < args.axis[0].taps; ++td) {
    for (int64_t th = 0; th < args.axis[1].taps; ++th) {
      for (int64_t tw = 0; tw < args.axis[2].taps; ++tw) {
        tile.inputs(args, td, th, tw, offsets);
        for (int p = 0; p < tile.n; p += kLanes) {
          const int n = tile.n - p < kLanes ? tile.n - p : kLanes;
          gather_vector(args.x, args.x_type, first, plane, args.channels, offsets + p, n, b + p);
        }
        b += args.channels * kTile;
      }
    }
  }
}

}  // namespace

// Tiles [first, last), numbered over images, groups and outputs; panels [first_panel, last_panel) of the maps.
// scratch: taps * channels * kTile floats.
void convolve_gemm(const ConvolveArgs& args, int64_t first, int64_t last, int64_t first_panel, int64_t last_panel,
                   void* scratch) {
  const int64_t depth = taps_of(args) * args.channels;
  const int64_t panels = (args.maps + args.panel - 1) / args.panel;
  float* b = static_cast<float*>(scratch);
  float out[kConvolvePanel * kTile];
  Tile tile;
  for (int64_t item = first; item < last; ++item) {
    tile.locate(args, item);
    gather(args, tile, b);
    const Multiply run = multiply_for<kConvolvePanel>(args.panel, tile.n > kLanes);
    for (int64_t p = first_panel; p < last_panel; ++p) {
      const float* const w = static_cast<const float*>(args.weights) + (tile.group * panels + p) * depth * args.panel;
      multiply_in_blocks<kConvolvePanel>(run, args.panel, w, b, depth, out);
      const int64_t first_map = p * args.panel, left = args.maps - first_map;
      const int64_t n_maps = left < args.panel ? left : args.panel;
      for (int64_t m = 0; args.bias && m < n_maps; ++m) {
        const float bias = args.bias[tile.group * args.maps + first_map + m];
        for (int i = 0; i < tile.n; ++i) out[m * kTile + i] += bias;
      }
      tile.finish(args, first_map, n_maps, out);
      for (int64_t m = 0; m < n_maps; ++m) tile.write(args, first_map + m, out + m * kTile);
    }
  }
}

namespace {

// Smallest j with j * step >= v.
inline int64_t first_at(int64_t v, int64_t step) {
  if (v <= 0) return 0;
  return step == 1 ? v : step == 2 ? (v + 1) >> 1 : (v + step - 1) / step;
}

// x[at], x[at + 1], ... of a row of n elements; zeros outside of it.
inline VecF load_inside(const float* x, int64_t at, int64_t n) {
  if (at >= 0 && at + kLanes <= n) return load(x + at);
  const int64_t first = at >= 0 ? 0 : -at < kLanes ? -at : kLanes;
  const int64_t end = n - at >= kLanes ? kLanes : n - at;
  const int count = static_cast<int>(end > first ? end - first : 0);
  const uintptr_t start = reinterpret_cast<uintptr_t>(x) + static_cast<uintptr_t>(at) * 4;
  return load_lanes(start, static_cast<int>(first), count, VecF{});
}

// x[at], x[at + 2], ...
inline VecF load_every_second(const float* x, int64_t at, int64_t n) {
  const VecF low = load_inside(x, at, n), high = load_inside(x, at + kLanes, n);
#if defined(__AVX512F__)
  return __builtin_shufflevector(low, high, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
#elif defined(__AVX2__)
  return __builtin_shufflevector(low, high, 0, 2, 4, 6, 8, 10, 12, 14);
#else
  return __builtin_shufflevector(low, high, 0, 2, 4, 6);
#endif
}

// One row of taps over one row of x: sum[j] += sum over t of w[t * pitch] * x[j * in_step + first + t * off_step]. All
// taps are added to a vector before it is stored: storing and loading it again at another offset would stall. `sum` is
// whole vectors long.
inline void add_row(const ConvolveAxis& axis, int64_t taps, const float* x, int64_t first, const float* w,
                    int64_t pitch, int64_t n, float* sum) {
  const int64_t step = axis.in_step;
  if (step > 2) {
    for (int64_t t = 0; t < taps; ++t) {
      const int64_t at = first + t * axis.off_step, inside = first_at(axis.in - at, step);
      for (int64_t j = first_at(-at, step); j < n && j < inside; ++j) sum[j] += w[t * pitch] * x[at + j * step];
    }
    return;
  }
  for (int64_t j = 0; j < n; j += kLanes) {
    VecF v = load(sum + j);
    for (int64_t t = 0; t < taps; ++t) {
      const int64_t at = j * step + first + t * axis.off_step;
      v += splat(w[t * pitch]) * (step == 1 ? load_inside(x, at, axis.in) : load_every_second(x, at, axis.in));
    }
    store(sum + j, v);
  }
}

// The same for float16 and bfloat16.
inline void add_row_of_halves(const ConvolveAxis& axis, int64_t taps, const void* x, int32_t type, int64_t row,
                              int64_t first, const float* w, int64_t pitch, int64_t n, float* sum) {
  for (int64_t t = 0; t < taps; ++t) {
    const int64_t at = first + t * axis.off_step, inside = first_at(axis.in - at, axis.in_step);
    for (int64_t j = first_at(-at, axis.in_step); j < n && j < inside; ++j) {
      sum[j] += w[t * pitch] * read_float(x, type, row + at + j * axis.in_step);
    }
  }
}

constexpr int64_t kRow = 256;  // outputs of a row that are summed at once

// The sums of a row of outputs: a long one in blocks.
struct RowSums {
  const bool is_long;
  int64_t terms = 0;  // in `sum`
  Totals<kRow> totals;
  float sum[kRow];
  RowSums(int64_t n, int64_t depth, float bias) : is_long(depth > kSumBlock), totals(n) { fill(is_long ? 0.0f : bias); }

  void fill(float v) {
    for (float& each : sum) each = v;
  }
  void added(int64_t n_terms) {
    terms += n_terms;
    if (terms < kSumBlock) return;
    totals.add(sum);
    fill(0.0f);
    terms = 0;
  }
  void end(int64_t n, float bias) {
    if (!is_long) return;
    totals.add(sum);
    totals.read(sum);
    for (int64_t i = 0; i < n; ++i) sum[i] += bias;
  }
};

// Outputs [j0, j0 + n) of one row of one map. `plane` is x's first channel.
inline void sum_row(const ConvolveArgs& args, int64_t plane, int64_t jd, int64_t jh, int64_t j0, int64_t n,
                    const float* w, RowSums& sums) {
  const ConvolveAxis &a = args.axis[0], &b = args.axis[1], &c = args.axis[2];
  if (c.taps == 0) return;
  const int64_t volume = in_volume(args), first = j0 * c.in_step + c.off_first;
  for (int64_t td = 0; td < a.taps; ++td) {
    const int64_t d = jd * a.in_step + a.off_first + td * a.off_step;
    for (int64_t th = 0; th < b.taps; ++th, w += c.taps * args.channels) {
      const int64_t h = jh * b.in_step + b.off_first + th * b.off_step;
      if (d < 0 || d >= a.in || h < 0 || h >= b.in) continue;
      for (int64_t channel = 0; channel < args.channels; ++channel) {
        const int64_t row = plane + channel * volume + (d * b.in + h) * c.in;
        for (int64_t tap = 0, taps; tap < c.taps; tap += taps) {
          taps = c.taps - tap < kSumBlock ? c.taps - tap : kSumBlock;
          const int64_t from = first + tap * c.off_step;
          const float* const here = w + channel + tap * args.channels;
          if (args.x_type == kF32) {
            add_row(c, taps, static_cast<const float*>(args.x) + row, from, here, args.channels, n, sums.sum);
          } else {
            add_row_of_halves(c, taps, args.x, args.x_type, row, from, here, args.channels, n, sums.sum);
          }
          if (sums.is_long) sums.added(taps);
        }
      }
    }
  }
}

}  // namespace

// Few maps a group (depthwise): weights are panels of one map. Items [first, last) number images, groups and rows.
void convolve_rows(const ConvolveArgs& args, int64_t first, int64_t last) {
  const ConvolveAxis &a = args.axis[0], &b = args.axis[1], &c = args.axis[2];
  const int64_t depth = taps_of(args) * args.channels;
  for (int64_t item = first; item < last; ++item) {
    const int64_t jh = item % b.count, jd = item / b.count % a.count, unit = item / b.count / a.count;
    const int64_t line = (a.out_first + jd * a.out_step) * b.out + b.out_first + jh * b.out_step;
    for (int64_t m = 0; m < args.maps; ++m) {
      const int64_t map = unit % args.groups * args.maps + m;
      const float bias = args.bias ? args.bias[map] : 0.0f;
      for (int64_t j0 = 0; j0 < c.count; j0 += kRow) {
        const int64_t n = c.count - j0 < kRow ? c.count - j0 : kRow;
        RowSums sums(n, depth, bias);
        sum_row(args, unit * args.channels * in_volume(args), jd, jh, j0, n,
                static_cast<const float*>(args.weights) + map * depth, sums);
        sums.end(n, bias);
        const int64_t y = (unit * args.maps + m) * out_volume(args) + line * c.out + c.out_first + j0 * c.out_step;
        if (args.epilogue) {
          const int rows = c.out_step == 1 ? 1 : static_cast<int>(n),
                    columns = c.out_step == 1 ? static_cast<int>(n) : 1;
          EpilogueTile tile = {sums.sum, columns, rows, columns};
          tile.offset = y;
          tile.row_step = c.out_step;
          tile.image = unit / args.groups;
          tile.channel = map;
          apply_epilogue(*args.epilogue, tile);
        }
        if (c.out_step == 1) {
          store_floats(sums.sum, args.y, args.y_type, y, n);
        } else {
          for (int64_t j = 0; j < n; ++j) store_floats(sums.sum + j, args.y, args.y_type, y + j * c.out_step, 1);
        }
      }
    }
  }
}

}  // namespace DT_ISA

#endif
