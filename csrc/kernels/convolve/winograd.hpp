// SPDX-License-Identifier: Apache-2.0
// Winograd's convolution of blocks of 16 channels (CHW16) in float32, fused over a block of tiles: the inputs are
// transformed, each position is a small matrix product, and the products of a panel of maps are transformed to outputs
// while they are in a cache.
#ifndef DOVETAIL_KERNELS_CONVOLVE_WINOGRAD_HPP
#define DOVETAIL_KERNELS_CONVOLVE_WINOGRAD_HPP

#include "kernels/convolve/blocked_tile.hpp"
#include "kernels/convolve/winograd_pack.hpp"

namespace DT_ISA {
namespace {

static_assert(kMapBlocks * kBlock == kWinogradPanel, "weights are packed for what registers hold");

// Longer sums are computed in blocks of this many channels: chains of float32 additions stay short, and the weights of a
// block stay in L1 while tiles run.
constexpr int64_t kWinogradChannels = 256;
// The processor does not read ahead far enough by itself: weights are read once, and their rows are short. While the
// weights of a block are multiplied by some tiles after the other, those of the next block arrive, a part with each.
struct NextWeights {
  const float* at;
  int64_t step;  // floats with each channel
};

// The position of a tile: its image, and its first output. The outputs of a tile are as far apart as the taps.
struct WinogradTile {
  int64_t image, h, w;
  WinogradTile(const WinogradArgs& args, int64_t index) {
    const int m = 2 * args.pairs + 3 - args.taps;
    image = index / (args.tiles_h * args.tiles_w);
    h = start(args.of.axis[1].off_step, index / args.tiles_w % args.tiles_h, m);
    w = start(args.of.axis[2].off_step, index % args.tiles_w, m);
  }
  static int64_t start(int64_t dilation, int64_t tile, int m) {
    return dilation == 1 ? tile * m : tile % dilation + tile / dilation * m * dilation;
  }
};

// The inputs of one tile, 16 channels of each; with zeros outside of x they are copied to `room`. `pitch`: of rows and of
// columns.
template <int t>
inline const float* tile_inputs(const ConvolveArgs& args, const float* x, const WinogradTile& tile, float* room,
                                int64_t (&pitch)[2]) {
  const ConvolveAxis &b = args.axis[1], &c = args.axis[2];
  const int64_t h0 = tile.h + b.off_first, w0 = tile.w + c.off_first;
  const int64_t h_end = h0 + t * b.off_step, w_end = w0 + t * c.off_step;
  if (h0 >= 0 && h_end - b.off_step < b.in && w0 >= 0 && w_end - c.off_step < c.in) {
    pitch[0] = b.off_step * c.in * kBlock;
    pitch[1] = c.off_step * kBlock;
    return x + (h0 * c.in + w0) * kBlock;
  }
  pitch[0] = t * kBlock;
  pitch[1] = kBlock;
  float* to = room;
  for (int64_t h = h0; h < h_end; h += b.off_step) {
    for (int64_t w = w0; w < w_end; w += c.off_step, to += kBlock) {
      const bool is_inside = h >= 0 && h < b.in && w >= 0 && w < c.in;
      for (int i = 0; i < kVectors; ++i)
        store(to + i * kLanes, is_inside ? load(x + (h * c.in + w) * kBlock + i * kLanes) : VecF{});
    }
  }
  return room;
}

template <int pairs>
void transform_tile(const float* from, const int64_t (&pitch)[2], float* to, int64_t position) {
  typedef Winograd<pairs, 3> F;  // of inputs the transform is the same whatever the taps
  constexpr int t = F::kInputs;
  for (int v = 0; v < kVectors; ++v) {
    VecF columns[t][t];
    for (int j = 0; j < t; ++j) {
      VecF d[t], r[t];
#pragma GCC unroll 8
      for (int i = 0; i < t; ++i) d[i] = load(from + i * pitch[0] + j * pitch[1] + v * kLanes);
      F::of_inputs(d, r);
#pragma GCC unroll 8
      for (int i = 0; i < t; ++i) columns[i][j] = r[i];
    }
    for (int i = 0; i < t; ++i) {
      VecF r[t];
      F::of_inputs(columns[i], r);
#pragma GCC unroll 8
      for (int j = 0; j < t; ++j) store(to + (i * t + j) * position + v * kLanes, r[j]);
    }
  }
}

template <int pairs>
void transform_blocks(const WinogradArgs& args, int64_t group, int64_t first, int64_t n, int64_t first_block,
                      int64_t last_block) {
  constexpr int t = 2 * pairs + 2;
  const ConvolveArgs& of = args.of;
  const int64_t blocks = blocks_of(of.channels), plane = of.axis[1].in * of.axis[2].in * kBlock;
  float room[t * t * kBlock];
  for (int64_t i = 0; i < n; ++i) {
    const WinogradTile tile(args, first + i);
    const float* x = static_cast<const float*>(of.x) + (tile.image * of.groups + group) * blocks * plane;
    for (int64_t block = first_block; block < last_block; ++block) {
      int64_t pitch[2];
      const float* from = tile_inputs<t>(of, x + block * plane, tile, room, pitch);
      transform_tile<pairs>(from, pitch, args.inputs + (block * args.block + i) * kBlock, args.input_pitch);
    }
  }
}

// Products of some tiles and one panel at one position: [tile][map] = [tile][channel] [channel][map], or added to it.
template <int tiles, int blocks>
void multiply_position(const float* x, int64_t x_block, const float* w, NextWeights next, int64_t channels,
                       bool is_first, float* y, int64_t y_block) {
  constexpr int v = blocks * kVectors;
  VecF sum[tiles][v];
#pragma GCC unroll 16
  for (int p = 0; p < tiles; ++p) {
#pragma GCC unroll 4
    for (int i = 0; i < v; ++i) sum[p][i] = VecF{};
  }
  for (int64_t c0 = 0; c0 < channels; c0 += kBlock, x += x_block) {
    const int n = static_cast<int>(channels - c0 < kBlock ? channels - c0 : kBlock);
    for (int c = 0; c < n; ++c, w += kWinogradPanel, next.at += next.step) {
      VecF weight[v];
#pragma GCC unroll 4
      for (int i = 0; i < v; ++i) weight[i] = load(w + i * kLanes);
      __builtin_prefetch(next.at, 0, 2);
      if (next.step > kBlock) __builtin_prefetch(next.at + kBlock, 0, 2);
#pragma GCC unroll 16
      for (int p = 0; p < tiles; ++p) {
        const VecF input = splat(x[p * kBlock + c]);
#pragma GCC unroll 4
        for (int i = 0; i < v; ++i) sum[p][i] += weight[i] * input;
      }
    }
  }
#pragma GCC unroll 16
  for (int p = 0; p < tiles; ++p) {
#pragma GCC unroll 4
    for (int i = 0; i < v; ++i) {
      float* to = y + i / kVectors * y_block + p * kBlock + i % kVectors * kLanes;
      store(to, is_first ? sum[p][i] : sum[p][i] + load(to));
    }
  }
}

typedef void (*MultiplyPosition)(const float* x, int64_t x_block, const float* w, NextWeights next, int64_t channels,
                                 bool is_first, float* y, int64_t y_block);

template <int tiles>
inline MultiplyPosition multiply_position_of(int64_t n, int64_t blocks) {
  if constexpr (tiles == 0) {
    return nullptr;
  } else {
    if (n != tiles) return multiply_position_of<tiles - 1>(n, blocks);
    return blocks == kMapBlocks ? multiply_position<tiles, kMapBlocks> : multiply_position<tiles, 1>;
  }
}

// All products of n tiles and a panel.
inline void multiply_panel(const WinogradArgs& args, int positions, int64_t n, const float* weights, int64_t blocks) {
  const int64_t channels = args.of.channels, x_block = args.block * kBlock;
  const int64_t groups = (n + kOutputs - 1) / kOutputs, width = (n + groups - 1) / groups;
  for (int position = 0; position < positions; ++position) {
    const float* x = args.inputs + position * args.input_pitch;
    float* y = args.products + position * args.product_pitch;
    for (int64_t c = 0; c < channels; c += kWinogradChannels) {
      const int64_t n_channels = channels - c < kWinogradChannels ? channels - c : kWinogradChannels;
      NextWeights next = {weights + n_channels * kWinogradPanel, kWinogradPanel / groups};
      for (int64_t i = 0; i < n; i += width, next.at += n_channels * next.step) {
        const MultiplyPosition run = multiply_position_of<kOutputs>(n - i < width ? n - i : width, blocks);
        run(x + i * kBlock, x_block, weights, next, n_channels, c == 0, y + i * kBlock, x_block);
      }
      x += n_channels / kBlock * x_block;
      weights += n_channels * kWinogradPanel;
    }
  }
}

// Outputs of one block of maps that wait in L1 for an epilogue that is not done in registers: on many it costs less.
class WaitingRows {
 public:
  WaitingRows(const ConvolveArgs& args, int64_t map, int64_t maps, float* y)
      : args_(args), y_(y), map_(map), maps_(static_cast<int>(maps < kBlock ? maps : kBlock)) {}
  // `most` outputs follow: none before them is still to be written.
  void start(int64_t image, int most) {
    if (n_ + most > kRows || image != image_) finish();
    image_ = image;
  }
  // Room for n outputs, which belong at y + offset and `step` further on each.
  float* add(int64_t offset, int64_t step, int n) {
    float* const to = values_ + n_ * kBlock;
    for (int i = 0; i < n; ++i) offsets_[n_++] = offset + i * step;
    return to;
  }
  void finish() {
    if (n_ == 0) return;
    EpilogueTile tile = {values_, kBlock, n_, maps_};
    tile.offset = y_ - static_cast<const float*>(args_.y);
    tile.row_offsets = offsets_;
    tile.image = image_;
    tile.channel = map_;
    tile.column_channel = 1;
    apply_epilogue(*args_.epilogue, tile);  // lanes without a map stay zero
    for (int i = 0; i < n_; ++i) {
      for (int v = 0; v < kVectors; ++v) store(y_ + offsets_[i] + v * kLanes, load(values_ + i * kBlock + v * kLanes));
    }
    n_ = 0;
  }

 private:
  static constexpr int kRows = 64;  // 4 KiB
  const ConvolveArgs& args_;
  float* const y_;
  const int64_t map_;
  const int maps_;
  int64_t image_ = 0;
  int n_ = 0;
  int64_t offsets_[kRows];
  alignas(64) float values_[kRows * kBlock];
};

// Which outputs of a tile that starts at `start` one phase has on an axis, where the first of them lies in y, and how far
// they are apart there.
struct TileOutputs {
  int first, n;
  int64_t at, step;
  TileOutputs(const MergedPhase& phase, const ConvolveAxis& axis, int64_t start, int m) {
    const int64_t dilation = axis.off_step;  // 1 where phases are merged, and some have a shift
    const int64_t begin = start < phase.shift ? phase.shift - start : 0;
    const int64_t end = (phase.count + phase.shift - start + dilation - 1) / dilation;
    first = static_cast<int>(begin < m ? begin : m);
    n = static_cast<int>(end > m ? m - first : end > first ? end - first : 0);
    at = phase.first + (start + first * dilation - phase.shift) * axis.out_step;
    step = axis.out_step * dilation;
  }
};

// Some rows of a tile from its products, of each the outputs `w`; row h.first + i goes to to[i], its outputs `step`
// apart. `bias`: 16 values.
template <int pairs, int taps>
void finish_tile(const float* from, int64_t position, const float* bias, const TileOutputs& h, const TileOutputs& w,
                 float* const* to, int64_t step, const Finish* finish, int64_t maps) {
  typedef Winograd<pairs, taps> F;
  constexpr int t = F::kInputs, m = F::kOutputs;
  int64_t out[m];  // outputs that do not exist are computed as the nearest one
  for (int j = 0; j < m; ++j) {
    const int k = j - w.first;
    out[j] = (k < 0 ? 0 : k < w.n ? k : w.n - 1) * step;
  }
  for (int v = 0; v < kVectors; ++v) {
    VecF columns[m][t];
    for (int j = 0; j < t; ++j) {
      VecF y[t], r[m];
#pragma GCC unroll 8
      for (int i = 0; i < t; ++i) y[i] = load(from + (i * t + j) * position + v * kLanes);
      F::of_outputs(y, r);
#pragma GCC unroll 8
      for (int i = 0; i < m; ++i) columns[i][j] = r[i];
    }
    const VecF first = load(bias + v * kLanes);
    for (int i = 0; i < h.n; ++i) {
      VecF r[m], sum[m][1];
      F::of_outputs(columns[h.first + i], r);
#pragma GCC unroll 8
      for (int j = 0; j < m; ++j) sum[j][0] = r[j] + first;
      if (finish) finish->apply(sum, to[i] + v * kLanes, out);
#pragma GCC unroll 8
      for (int j = 0; j < m; ++j) {
        if (j >= w.first && j < w.first + w.n) write_maps(sum[j], to[i] + out[j] + v * kLanes, 0, maps - v * kLanes);
      }
    }
  }
}

// Outputs of n tiles, one phase and one block of maps, whose products are at `from`.
template <int pairs, int taps>
void finish_tiles(const WinogradArgs& args, int64_t group, int64_t first, int64_t n, int64_t phase, int64_t block,
                  const float* from) {
  constexpr int m = Winograd<pairs, taps>::kOutputs;
  const ConvolveArgs& of = args.of;
  const ConvolveAxis &b = of.axis[1], &c = of.axis[2];
  const MergedPhase &rows = args.phase[0][phase / args.phases[1]], &columns = args.phase[1][phase % args.phases[1]];
  const int64_t map_blocks = blocks_of(of.maps), plane = b.out * c.out * kBlock;
  const int64_t maps = of.maps - block * kBlock, map = group * of.maps + block * kBlock;
  float bias[kBlock] = {};
  for (int64_t i = 0; of.bias && i < kBlock && i < maps; ++i) bias[i] = of.bias[map + i];
  float* const y = static_cast<float*>(of.y) + (group * map_blocks + block) * plane;
  const Finish finish(of);
  WaitingRows waiting(of, map, maps, y);
  for (int64_t i = 0; i < n; ++i) {
    const WinogradTile tile(args, first + i);
    const TileOutputs h(rows, b, tile.h, m), w(columns, c, tile.w, m);
    if (h.n == 0 || w.n == 0) continue;
    if (!finish.is_all) waiting.start(tile.image, h.n * w.n);
    float* to[m];
    for (int k = 0; k < h.n; ++k) {
      const int64_t row = tile.image * of.groups * map_blocks * plane + (h.at + k * h.step) * c.out * kBlock;
      const int64_t at = row + w.at * kBlock;
      to[k] = finish.is_all ? y + at : waiting.add(at, w.step * kBlock, w.n);
    }
    finish_tile<pairs, taps>(from + i * kBlock, args.product_pitch, bias, h, w, to,
                             (finish.is_all ? w.step : 1) * kBlock, finish.is_all ? &finish : nullptr, maps);
  }
  waiting.finish();
}

template <int pairs, int taps>
void multiply_panels(const WinogradArgs& args, int64_t group, int64_t first, int64_t n, int64_t first_panel,
                     int64_t last_panel) {
  constexpr int positions = Winograd<pairs, taps>::kPositions;
  const int64_t map_blocks = blocks_of(args.of.maps), panels = (map_blocks + kMapBlocks - 1) / kMapBlocks;
  const int64_t panel_weights = positions * args.of.channels * kWinogradPanel;
  const int64_t group_panels = args.phases[0] * args.phases[1] * panels;
  for (int64_t panel = first_panel; panel < last_panel; ++panel) {
    const int64_t phase = panel / panels, block = panel % panels * kMapBlocks;
    const int64_t blocks = map_blocks - block < kMapBlocks ? 1 : kMapBlocks;
    const float* weights = static_cast<const float*>(args.of.weights) + (group * group_panels + panel) * panel_weights;
    multiply_panel(args, positions, n, weights, blocks);
    for (int64_t i = 0; i < blocks; ++i) {
      const float* from = args.products + i * args.block * kBlock;
      finish_tiles<pairs, taps>(args, group, first, n, phase, block + i, from);
    }
  }
}

}  // namespace

void winograd_transform(const WinogradArgs& args, int64_t group, int64_t first, int64_t n, int64_t first_block,
                        int64_t last_block) {
  const auto run = args.pairs == 1 ? transform_blocks<1> : args.pairs == 2 ? transform_blocks<2> : transform_blocks<3>;
  run(args, group, first, n, first_block, last_block);
}

void winograd_multiply(const WinogradArgs& args, int64_t group, int64_t first, int64_t n, int64_t first_panel,
                       int64_t last_panel) {
  const auto run = args.taps == 2    ? args.pairs == 1 ? multiply_panels<1, 2> : multiply_panels<2, 2>
                   : args.pairs == 1 ? multiply_panels<1, 3>
                   : args.pairs == 2 ? multiply_panels<2, 3>
                                     : multiply_panels<3, 3>;
  run(args, group, first, n, first_panel, last_panel);
}

}  // namespace DT_ISA

#endif
