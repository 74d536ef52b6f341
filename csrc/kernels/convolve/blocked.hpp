// SPDX-License-Identifier: Apache-2.0
// Convolution that writes blocks of 16 maps (CHW16), in float32: a tile of neighbouring outputs times one or two blocks
// of maps stays in registers while taps and channels run. x is CHW16, or linear as a first layer's.
// Weights: [group][block of maps][block of channels][taps][channel of the block][16 maps], zeros where there is no map.
#ifndef DOVETAIL_KERNELS_CONVOLVE_BLOCKED_HPP
#define DOVETAIL_KERNELS_CONVOLVE_BLOCKED_HPP

#include "dovetail/epilogue_tile.hpp"
#include "kernels/convolve/args.hpp"
#include "kernels/simd/vec.hpp"

namespace DT_ISA {
namespace {

constexpr int kBlock = 16;
constexpr int kVectors = kBlock / kLanes;  // of one block
// Registers: outputs x vectors of sums, the vectors of weights, one input.
constexpr int kMapBlocks = kLanes == 16 ? 2 : 1;
constexpr int kOutputs = kLanes == 16 ? 14 : kLanes == 8 ? 6 : 2;
static_assert(kOutputs * kMapBlocks * kVectors + kMapBlocks * kVectors < kRegisters, "sums stay in registers");

// A tile of outputs times some blocks of maps: neighbours [j0, j0 + n) of row jh; or, where rows are short, outputs
// that follow each other over the ends of rows (`is_flat`).
struct BlockedTile {
  const float* x;   // of this image and group
  float* y;         // first block of maps of this image and group's part
  int64_t y_block;  // distance of two blocks of y
  const float* weights;
  int64_t weight_block;
  const float* bias;  // of the first map, or null
  int64_t maps;       // from the first map of the tile to the group's end
  bool is_flat;
  int64_t jh, j0;
  int64_t h[kOutputs], w[kOutputs], out[kOutputs];  // first inputs' rows and columns; offsets in y

  void locate(const ConvolveArgs& args, int64_t n, int64_t row, int64_t column) {
    const ConvolveAxis &b = args.axis[1], &c = args.axis[2];
    jh = row;
    j0 = column;
    for (int64_t p = 0; p < n; ++p) {
      h[p] = row * b.in_step + b.off_first;
      w[p] = column * c.in_step + c.off_first;
      out[p] = ((b.out_first + row * b.out_step) * c.out + c.out_first + column * c.out_step) * kBlock;
      if (++column == c.count) {
        column = 0;
        ++row;
      }
    }
  }
};

inline int64_t blocks_of(int64_t n) { return (n + kBlock - 1) / kBlock; }

// Computes the epilogue on n outputs of one block of maps, which lie side by side from y on and are still in L1. Lanes
// without a map stay zero.
inline void finish_block(const ConvolveArgs& args, float* y, int64_t n, int64_t image, int64_t map, int64_t maps) {
  if (!args.epilogue || maps <= 0) return;
  EpilogueTile tile = {y, kBlock, static_cast<int>(n), static_cast<int>(maps < kBlock ? maps : kBlock)};
  tile.offset = y - static_cast<const float*>(args.y);
  tile.row_step = kBlock;
  tile.image = image;
  tile.channel = map;
  tile.column_channel = 1;
  apply_epilogue(*args.epilogue, tile);
}

// Adds n_channels channels of one tap. pitch: distance of two outputs' inputs; channel: of two channels.
template <int outputs, int v>
inline __attribute__((always_inline)) void add_tap(VecF (&sum)[outputs][v], const float* x, int64_t pitch,
                                                   int64_t channel, const float* w, int64_t weight_block,
                                                   int64_t n_channels) {
  for (int64_t c = 0; c < n_channels; ++c, x += channel, w += kBlock) {
    VecF weight[v];
#pragma GCC unroll 4
    for (int i = 0; i < v; ++i) weight[i] = load(w + i / kVectors * weight_block + i % kVectors * kLanes);
#pragma GCC unroll 16
    for (int p = 0; p < outputs; ++p) {
      const VecF input = splat(x[p * pitch]);
#pragma GCC unroll 4
      for (int i = 0; i < v; ++i) sum[p][i] += weight[i] * input;
    }
  }
}

// Copies the inputs of n outputs at tap (th, tw) to [n][kBlock], zeros outside of x. Padding lanes are copied, too;
// they have no weights.
inline void gather_tap(const ConvolveArgs& args, const BlockedTile& tile, const float* x, int64_t th, int64_t tw, int n,
                       int64_t n_channels, float* to) {
  const ConvolveAxis &b = args.axis[1], &c = args.axis[2];
  const int64_t plane = b.in * c.in;
  for (int p = 0; p < n; ++p, to += kBlock) {
    const int64_t h = tile.h[p] + th * b.off_step, w = tile.w[p] + tw * c.off_step;
    if (h < 0 || h >= b.in || w < 0 || w >= c.in) {
      for (int i = 0; i < kVectors; ++i) store(to + i * kLanes, VecF{});
    } else if (!args.x_is_linear) {
      for (int i = 0; i < kVectors; ++i) store(to + i * kLanes, load(x + (h * c.in + w) * kBlock + i * kLanes));
    } else {
      for (int64_t k = 0; k < n_channels; ++k) to[k] = x[k * plane + h * c.in + w];
    }
  }
}

// Writes one output; lanes without a map become zero.
template <int v>
inline void write_maps(const VecF* sum, float* y, int64_t y_block, int64_t maps) {
  for (int i = 0; i < v; ++i) {
    float* to = y + i / kVectors * y_block + i % kVectors * kLanes;
    store(to, sum[i]);
    const int64_t rest = maps - i * kLanes;
    for (int64_t k = rest > 0 ? rest : 0; k < kLanes; ++k) to[k] = 0.0f;
  }
}

// The sums of a tile, those of a long sum in blocks: registers to `block`, some blocks to `group`, groups to `all`.
template <int outputs, int v>
struct TileSums {
  static constexpr int64_t kTerms = 512;  // of a block; with fewer the additions here would show
  const bool is_long;
  const int64_t channels;  // of a block, a multiple of kBlock
  int64_t n_blocks = 0;
  VecF group[outputs][v], all[outputs][v];

  TileSums(int64_t taps, int64_t all_channels)
      : is_long(taps * all_channels > kTerms),
        channels(is_long ? (kTerms + taps * kBlock - 1) / (taps * kBlock) * kBlock : all_channels) {
    for (int p = 0; is_long && p < outputs; ++p) {
      for (int i = 0; i < v; ++i) group[p][i] = all[p][i] = VecF{};
    }
  }
  inline __attribute__((always_inline)) void end_block(VecF (&sum)[outputs][v]) {
    if (!is_long) return;
#pragma GCC unroll 16
    for (int p = 0; p < outputs; ++p) {
#pragma GCC unroll 4
      for (int i = 0; i < v; ++i) {
        group[p][i] += sum[p][i];
        sum[p][i] = VecF{};
      }
    }
    if (++n_blocks % 32 == 0) end_group();
  }
  void end_group() {
    for (int p = 0; p < outputs; ++p) {
      for (int i = 0; i < v; ++i) {
        all[p][i] += group[p][i];
        group[p][i] = VecF{};
      }
    }
  }
  inline __attribute__((always_inline)) void end(VecF (&sum)[outputs][v]) {
    if (!is_long) return;
    end_group();
#pragma GCC unroll 16
    for (int p = 0; p < outputs; ++p) {
#pragma GCC unroll 4
      for (int i = 0; i < v; ++i) sum[p][i] += all[p][i];
    }
  }
};

// `step`: distance of two neighbours' inputs that is read without a copy; 0: each tap is gathered first.
template <int outputs, int blocks, int step, bool is_linear>
void blocked_tile(const ConvolveArgs& args, const BlockedTile& tile) {
  constexpr int v = blocks * kVectors;
  const ConvolveAxis &b = args.axis[1], &c = args.axis[2];
  const int64_t plane = b.in * c.in;
  float scratch[outputs * kBlock];
  VecF sum[outputs][v];
#pragma GCC unroll 4
  for (int i = 0; i < v; ++i) {
    const int64_t rest = tile.maps - i * kLanes;
    const int n = static_cast<int>(rest <= 0 ? 0 : rest < kLanes ? rest : kLanes);
    const uintptr_t bias = reinterpret_cast<uintptr_t>(tile.bias) + static_cast<uintptr_t>(i) * kLanes * 4;
    const VecF first = tile.bias ? load_lanes(bias, 0, n, VecF{}) : VecF{};
#pragma GCC unroll 16
    for (int p = 0; p < outputs; ++p) sum[p][i] = first;
  }
  TileSums<outputs, v> sums(b.taps * c.taps, args.channels);
  const float* weights = tile.weights;
  for (int64_t first = 0; first < args.channels; first += sums.channels) {
    const int64_t end = args.channels - first < sums.channels ? args.channels : first + sums.channels;
    for (int64_t c0 = first; c0 < end; c0 += kBlock) {
      const int64_t n_channels = args.channels - c0 < kBlock ? args.channels - c0 : kBlock;
      const float* x = tile.x + c0 * plane;
      for (int64_t th = 0; th < b.taps; ++th) {
        const int64_t h = tile.h[0] + th * b.off_step;
        if (!tile.is_flat && (h < 0 || h >= b.in)) {
          weights += c.taps * kBlock * kBlock;
          continue;
        }
        for (int64_t tw = 0; tw < c.taps; ++tw, weights += kBlock * kBlock) {
          const int64_t w = tile.w[0] + tw * c.off_step;
          if (step != 0 && !tile.is_flat && w >= 0 && w + (outputs - 1) * step < c.in) {
            const float* row = x + (h * c.in + w) * (is_linear ? 1 : kBlock);
            add_tap<outputs, v>(sum, row, step * (is_linear ? 1 : kBlock), is_linear ? plane : 1, weights,
                                tile.weight_block, n_channels);
          } else {
            gather_tap(args, tile, x, th, tw, outputs, n_channels, scratch);
            add_tap<outputs, v>(sum, scratch, kBlock, 1, weights, tile.weight_block, n_channels);
          }
        }
      }
    }
    sums.end_block(sum);
  }
  sums.end(sum);
#pragma GCC unroll 16
  for (int p = 0; p < outputs; ++p) write_maps<v>(sum[p], tile.y + tile.out[p], tile.y_block, tile.maps);
}

typedef void (*BlockedKernel)(const ConvolveArgs& args, const BlockedTile& tile);

// Kernels that read a linear x in place are made for whole pairs of blocks alone; it is first layers that have them.
template <int outputs>
inline BlockedKernel blocked_kernel(const ConvolveArgs& args, int64_t n, int64_t blocks) {
  if constexpr (outputs == 0) {
    return nullptr;
  } else {
    if (n != outputs) return blocked_kernel<outputs - 1>(args, n, blocks);
    const int64_t step = args.axis[2].in_step;
    if (args.x_is_linear || step != 1) {
      if (args.x_is_linear && blocks == kMapBlocks) {
        if (step == 1) return blocked_tile<outputs, kMapBlocks, 1, true>;
        if (step == 2) return blocked_tile<outputs, kMapBlocks, 2, true>;
      }
      return blocks == kMapBlocks ? blocked_tile<outputs, kMapBlocks, 0, false> : blocked_tile<outputs, 1, 0, false>;
    }
    return blocks == kMapBlocks ? blocked_tile<outputs, kMapBlocks, 1, false> : blocked_tile<outputs, 1, 1, false>;
  }
}

// How a phase is cut into tiles of nearly equal size, since a small last tile would waste most of its registers.
struct BlockedTiling {
  bool is_flat;
  int64_t lines, length, width;  // lines of outputs; outputs of a line and of a tile
  int64_t pairs;                 // of blocks of maps in a group

  explicit BlockedTiling(const ConvolveArgs& args) {
    const ConvolveAxis &b = args.axis[1], &c = args.axis[2];
    is_flat = c.count * 2 <= kOutputs && b.count > 1 && !args.x_is_linear;
    const int64_t outputs = b.count * c.count;
    const int64_t tiles = ((is_flat ? outputs : c.count) + kOutputs - 1) / kOutputs;
    width = tiles > 0 ? ((is_flat ? outputs : c.count) + tiles - 1) / tiles : 0;
    lines = is_flat ? tiles : b.count;
    length = is_flat ? width : c.count;
    pairs = (blocks_of(args.maps) + kMapBlocks - 1) / kMapBlocks;
  }
};

}  // namespace

int64_t convolve_blocked_items(const ConvolveArgs& args) {
  const BlockedTiling tiling(args);
  return args.images * args.groups * tiling.pairs * tiling.lines;
}

// Items [first, last): images, groups, pairs of blocks of maps, and lines of outputs, lines fastest.
void convolve_blocked(const ConvolveArgs& args, int64_t first, int64_t last) {
  const ConvolveAxis &b = args.axis[1], &c = args.axis[2];
  const BlockedTiling tiling(args);
  const int64_t map_blocks = blocks_of(args.maps), channel_blocks = blocks_of(args.channels);
  const int64_t x_group = (args.x_is_linear ? args.channels : channel_blocks * kBlock) * b.in * c.in;
  BlockedTile tile;
  tile.is_flat = tiling.is_flat;
  tile.y_block = b.out * c.out * kBlock;
  tile.weight_block = channel_blocks * b.taps * c.taps * kBlock * kBlock;
  for (int64_t item = first; item < last; ++item) {
    const int64_t line = item % tiling.lines, pair = item / tiling.lines % tiling.pairs;
    const int64_t unit = item / tiling.lines / tiling.pairs, group = unit % args.groups;
    const int64_t block = pair * kMapBlocks,
                  n_blocks = map_blocks - block < kMapBlocks ? map_blocks - block : kMapBlocks;
    tile.x = static_cast<const float*>(args.x) + unit * x_group;
    tile.y = static_cast<float*>(args.y) + (unit * map_blocks + block) * tile.y_block;
    tile.weights = static_cast<const float*>(args.weights) + (group * map_blocks + block) * tile.weight_block;
    tile.bias = args.bias ? args.bias + group * args.maps + block * kBlock : nullptr;
    tile.maps = args.maps - block * kBlock;
    const int64_t start = tiling.is_flat ? line * tiling.width : line * c.count;
    const int64_t stop =
        tiling.is_flat && start + tiling.length > b.count * c.count ? b.count * c.count : start + tiling.length;
    for (int64_t at = start; at < stop; at += tiling.width) {
      const int64_t n = stop - at < tiling.width ? stop - at : tiling.width;
      tile.locate(args, n, at / c.count, at % c.count);
      blocked_kernel<kOutputs>(args, n, n_blocks)(args, tile);
      for (int64_t i = 0; i < n_blocks; ++i)
        finish_block(args, tile.y + i * tile.y_block + tile.out[0], n, unit / args.groups,
                     group * args.maps + (block + i) * kBlock, tile.maps - i * kBlock);
    }
  }
}

namespace {

// Depthwise (one channel and one map a group): items are images, blocks of 16 groups, and rows.
// Weights: [block][taps][16].
template <int outputs>
inline void depthwise_tile(const ConvolveArgs& args, const float* x, const float* w, const float* bias, int64_t maps,
                           int64_t jh, int64_t j0, float* y) {
  const ConvolveAxis &b = args.axis[1], &c = args.axis[2];
  VecF sum[outputs][kVectors];
  for (int i = 0; i < kVectors; ++i) {
    const int64_t rest = maps - i * kLanes;
    const int n = static_cast<int>(rest <= 0 ? 0 : rest < kLanes ? rest : kLanes);
    const uintptr_t at = reinterpret_cast<uintptr_t>(bias) + static_cast<uintptr_t>(i) * kLanes * 4;
    const VecF first = bias ? load_lanes(at, 0, n, VecF{}) : VecF{};
    for (int p = 0; p < outputs; ++p) sum[p][i] = first;
  }
  for (int64_t th = 0; th < b.taps; ++th) {
    const int64_t h = jh * b.in_step + b.off_first + th * b.off_step;
    if (h < 0 || h >= b.in) continue;
    const float* row = x + h * c.in * kBlock;
    for (int64_t tw = 0; tw < c.taps; ++tw) {
      const float* weight = w + (th * c.taps + tw) * kBlock;
      const int64_t w0 = j0 * c.in_step + c.off_first + tw * c.off_step;
      const bool is_inside = w0 >= 0 && w0 + (outputs - 1) * c.in_step < c.in;
      VecF tap[kVectors];
      for (int i = 0; i < kVectors; ++i) tap[i] = load(weight + i * kLanes);
      if (is_inside) {
        const float* at = row + w0 * kBlock;
#pragma GCC unroll 8
        for (int p = 0; p < outputs; ++p, at += c.in_step * kBlock) {
          for (int i = 0; i < kVectors; ++i) sum[p][i] += tap[i] * load(at + i * kLanes);
        }
      } else {
#pragma GCC unroll 8
        for (int p = 0; p < outputs; ++p) {
          const int64_t at = w0 + p * c.in_step;
          if (at < 0 || at >= c.in) continue;
          for (int i = 0; i < kVectors; ++i) sum[p][i] += tap[i] * load(row + at * kBlock + i * kLanes);
        }
      }
    }
  }
  for (int p = 0; p < outputs; ++p) write_maps<kVectors>(sum[p], y + p * c.out_step * kBlock, 0, maps);
}

}  // namespace

void convolve_depthwise(const ConvolveArgs& args, int64_t first, int64_t last) {
  constexpr int kWide = kLanes == 16 ? 8 : kLanes == 8 ? 4 : 2;
  const ConvolveAxis &b = args.axis[1], &c = args.axis[2];
  const int64_t blocks = blocks_of(args.groups), taps = b.taps * c.taps;
  for (int64_t item = first; item < last; ++item) {
    const int64_t jh = item % b.count, unit = item / b.count, block = unit % blocks;
    const float* x = static_cast<const float*>(args.x) + unit * b.in * c.in * kBlock;
    const float* w = static_cast<const float*>(args.weights) + block * taps * kBlock;
    const float* bias = args.bias ? args.bias + block * kBlock : nullptr;
    const int64_t maps = args.groups - block * kBlock;
    float* row = static_cast<float*>(args.y) + (unit * b.out + b.out_first + jh * b.out_step) * c.out * kBlock;
    int64_t j = 0;
    for (; j + kWide <= c.count; j += kWide) {
      depthwise_tile<kWide>(args, x, w, bias, maps, jh, j, row + (c.out_first + j * c.out_step) * kBlock);
    }
    for (; j < c.count; ++j) {
      depthwise_tile<1>(args, x, w, bias, maps, jh, j, row + (c.out_first + j * c.out_step) * kBlock);
    }
    finish_block(args, row, c.count, unit / blocks, block * kBlock, maps);
  }
}

}  // namespace DT_ISA

#endif
