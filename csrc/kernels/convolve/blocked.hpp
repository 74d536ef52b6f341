// SPDX-License-Identifier: Apache-2.0
// Convolution that writes blocks of 16 maps (CHW16), in float32: a tile of neighbouring outputs times one or two blocks
// of maps stays in registers while taps and channels run. x is CHW16, or linear as a first layer's.
// Weights: [group][block of maps][block of channels][taps][channel of the block][16 maps], zeros where there is no map.
#ifndef DOVETAIL_KERNELS_CONVOLVE_BLOCKED_HPP
#define DOVETAIL_KERNELS_CONVOLVE_BLOCKED_HPP

#include "kernels/convolve/args.hpp"
#include "kernels/convolve/finish.hpp"
#include "kernels/convolve/tile_sums.hpp"

namespace DT_ISA {
namespace {

// Registers: outputs x vectors of sums, the vectors of weights, one input.
constexpr int kMapBlocks = kLanes == 16 ? 2 : 1;
constexpr int kOutputs = kLanes == 16 ? 14 : kLanes == 8 ? 6 : 2;
static_assert(kOutputs * kMapBlocks * kVectors + kMapBlocks * kVectors < kRegisters, "sums stay in registers");
// Of a 1x1 kernel that moves by one, where an input times one vector of weights is one instruction: as many sums of one
// block of maps. 0: there is no such kernel.
constexpr int kPointwiseOutputs = kLanes == 16 ? 28 : 0;
constexpr int kMostOutputs = kPointwiseOutputs > kOutputs ? kPointwiseOutputs : kOutputs;
static_assert(kPointwiseOutputs + 1 < kRegisters, "sums stay in registers");
// Of such a kernel whose inputs are multiplied by factors of their channels: the weights are, once for a tile.
constexpr int kGatedOutputs = kPointwiseOutputs > 0 ? kPointwiseOutputs : kOutputs;

// A tile of outputs times some blocks of maps: outputs that follow each other, in one row unless `is_flat`.
struct BlockedTile {
  Finish finish;
  const float* x;  // of this image and group
  float* to;       // where the sums go: the first output of the first block
  int64_t to_block;
  bool is_far;    // `to` is in no near cache
  bool is_first;  // x is in no near cache
  const float* weights;
  int64_t weight_block;
  const float* gate;   // of this image's channels, or null
  const float* bias;   // of the first map, or null
  int64_t maps;        // from the first map of the tile to the group's end
  const float* next;   // weights that are needed soon, or null
  int64_t next_lines;  // of them, with each tap of 16 channels: in small portions, which arrive while others run
  bool is_flat;
  int64_t h, w;                        // first input's row and column
  int64_t hs[kOutputs], ws[kOutputs];  // of a flat tile: those of each output
  int64_t out[kMostOutputs];           // offsets from `to`
  // Of a flat tile of few taps: where each tap meets x in the first block of channels; -1 outside of it.
  static constexpr int64_t kMostTaps = 32;
  bool has_inputs;
  int32_t inputs[kMostTaps][kOutputs];

  // Shares of the weights behind those of `n_here` blocks, of the `n_blocks` that are next, among the tiles of the chunk.
  void prefetch(int64_t tile, int64_t n_tiles, int64_t n_steps, int64_t n_here, int64_t n_blocks) {
    const int64_t lines = n_blocks * weight_block / 16, steps = n_tiles * n_steps;
    next_lines = steps > 0 ? (lines + steps - 1) / steps : 0;  // a phase may have no tap
    const int64_t done = tile * n_steps * next_lines;
    next = done < lines ? weights + n_here * weight_block + done * 16 : nullptr;
  }

  // Where n outputs from (row, column) on have their inputs; and where they lie in y, from the first on.
  int64_t locate(const ConvolveArgs& args, int64_t n, int64_t row, int64_t column) {
    const ConvolveAxis &b = args.axis[1], &c = args.axis[2];
    const int64_t first = ((b.out_first + row * b.out_step) * c.out + c.out_first + column * c.out_step) * kBlock;
    h = row * b.in_step + b.off_first;
    w = column * c.in_step + c.off_first;
    for (int64_t p = 0; p < n; ++p) out[p] = p * c.out_step * kBlock;
    for (int64_t p = 0; is_flat && p < n; ++p) {
      hs[p] = row * b.in_step + b.off_first;
      ws[p] = column * c.in_step + c.off_first;
      out[p] = ((b.out_first + row * b.out_step) * c.out + c.out_first + column * c.out_step) * kBlock - first;
      if (++column == c.count) {
        column = 0;
        ++row;
      }
    }
    has_inputs = is_flat && b.taps * c.taps <= kMostTaps && b.in * c.in <= INT32_MAX / kBlock;
    if (has_inputs) find_all(b, c, n);
    return first;
  }
  void find_all(const ConvolveAxis& b, const ConvolveAxis& c, int64_t n) {
    for (int64_t tap = 0; tap < b.taps * c.taps; ++tap) {
      const int64_t dh = tap / c.taps * b.off_step, dw = tap % c.taps * c.off_step;
      for (int64_t p = 0; p < n; ++p) {
        const int64_t h = hs[p] + dh, w = ws[p] + dw;
        const bool is_inside = h >= 0 && h < b.in && w >= 0 && w < c.in;
        inputs[tap][p] = is_inside ? static_cast<int32_t>((h * c.in + w) * kBlock) : -1;
      }
    }
  }
  int64_t row_of(int p) const { return is_flat ? hs[p] : h; }
  int64_t column_of(const ConvolveAxis& c, int p) const { return is_flat ? ws[p] : w + p * c.in_step; }
};

// Adds n_channels channels of one tap. pitch: distance of two outputs' inputs; channel: of two channels.
template <int outputs, int v>
inline __attribute__((always_inline)) void add_tap(VecF (&sum)[outputs][v], const float* x, int64_t pitch,
                                                   int64_t channel, const float* w, int64_t weight_block,
                                                   int64_t n_channels) {
  for (int64_t c = 0; c < n_channels; ++c, x += channel, w += kBlock) {
    VecF weight[v];
#pragma GCC unroll 4
    for (int i = 0; i < v; ++i) weight[i] = load(w + i / kVectors * weight_block + i % kVectors * kLanes);
#pragma GCC unroll 32
    for (int p = 0; p < outputs; ++p) {
      const VecF input = splat(x[p * pitch]);
#pragma GCC unroll 4
      for (int i = 0; i < v; ++i) sum[p][i] += weight[i] * input;
    }
  }
}

// The same of one block of maps, where channel c of x counts gate[c] times.
template <int outputs>
inline __attribute__((always_inline)) void add_gated(VecF (&sum)[outputs][kVectors], const float* x, const float* w,
                                                     const float* gate, int64_t n_channels) {
  for (int64_t c = 0; c < n_channels; ++c, ++x, w += kBlock) {
    const VecF factor = splat(gate[c]);
    VecF weight[kVectors];
#pragma GCC unroll 4
    for (int i = 0; i < kVectors; ++i) weight[i] = load(w + i * kLanes) * factor;
#pragma GCC unroll 32
    for (int p = 0; p < outputs; ++p) {
      const VecF input = splat(x[p * kBlock]);
#pragma GCC unroll 4
      for (int i = 0; i < kVectors; ++i) sum[p][i] += weight[i] * input;
    }
  }
}

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

// One block of maps of a 1x1 kernel that moves by one: the outputs and their inputs lie side by side.
template <int outputs, bool is_gated>
void pointwise_tile(const ConvolveArgs& args, const BlockedTile& tile) {
  const int64_t plane = args.axis[1].in * args.axis[2].in * kBlock, steps = blocks_of(args.channels);
  const int64_t ending = (outputs + steps - 1) / steps;  // lines of y with each block of channels
  const float *weights = tile.weights, *x = tile.x + tile.w * kBlock, *next = tile.next;
  VecF sum[outputs][kVectors];
#pragma GCC unroll 4
  for (int i = 0; i < kVectors; ++i) {
    const VecF first = bias_lanes(tile.bias, i, tile.maps);
#pragma GCC unroll 32
    for (int p = 0; p < outputs; ++p) sum[p][i] = first;
  }
  TileSums<outputs, kVectors> sums(1, args.channels);
  int64_t line = 0, end = sums.channels;
  for (int64_t c0 = 0; c0 < args.channels; c0 += kBlock, x += plane, weights += kBlock * kBlock) {
    for (int64_t i = 0; next && i < tile.next_lines; ++i, next += 16) __builtin_prefetch(next, 0, 2);
    if (tile.is_far) {  // what the end of the tile reads and writes arrives while it is computed
      for (int64_t i = 0; i < ending && line < outputs; ++i, ++line) tile.finish.prefetch(tile.to + line * kBlock);
    }
    if (tile.is_first && c0 + kBlock < args.channels) {
#pragma GCC unroll 32
      for (int p = 0; p < outputs; ++p) __builtin_prefetch(x + plane + p * kBlock);
    }
    const int64_t n = args.channels - c0 < kBlock ? args.channels - c0 : kBlock;
    if constexpr (is_gated) {
      add_gated<outputs>(sum, x, weights, tile.gate + c0, n);
    } else {
      add_tap<outputs, kVectors>(sum, x, kBlock, 1, weights, 0, n);
    }
    if (c0 + kBlock < end) continue;
    sums.end_block(sum);
    end += sums.channels;
  }
  sums.end(sum);
  if (tile.finish.is_all) tile.finish.apply(sum, tile.to, tile.out);
#pragma GCC unroll 32
  for (int p = 0; p < outputs; ++p) write_maps<kVectors>(sum[p], tile.to + p * kBlock, 0, tile.maps);
}

typedef void (*BlockedKernel)(const ConvolveArgs& args, const BlockedTile& tile);

template <int outputs, bool is_gated = false>
inline BlockedKernel pointwise_kernel(int64_t n) {
  if constexpr (outputs == 0) {
    return nullptr;
  } else {
    return n == outputs ? pointwise_tile<outputs, is_gated> : pointwise_kernel<outputs - 1, is_gated>(n);
  }
}

// Kernels that read a linear x in place are made for whole pairs of blocks alone; it is first layers that have them.
template <int outputs>
inline BlockedKernel blocked_kernel(const ConvolveArgs& args, int64_t n, int64_t blocks) {
  if constexpr (outputs == 0) {
    return nullptr;
  } else {
    if (n != outputs) return blocked_kernel<outputs - 1>(args, n, blocks);
    const int64_t step = args.axis[2].in_step;
    const bool is_pair = blocks == kMapBlocks;
    if (args.x_is_linear) {
      if (is_pair && step == 1) return blocked_tile<outputs, kMapBlocks, 1, true>;
      if (is_pair && step == 2) return blocked_tile<outputs, kMapBlocks, 2, true>;
      return is_pair ? blocked_tile<outputs, kMapBlocks, 0, true> : blocked_tile<outputs, 1, 0, true>;
    }
    if (step == 1) return is_pair ? blocked_tile<outputs, kMapBlocks, 1, false> : blocked_tile<outputs, 1, 1, false>;
    if (step == 2) return is_pair ? blocked_tile<outputs, kMapBlocks, 2, false> : blocked_tile<outputs, 1, 2, false>;
    return is_pair ? blocked_tile<outputs, kMapBlocks, 0, false> : blocked_tile<outputs, 1, 0, false>;
  }
}

// How a phase is cut into items, each a tile of one strip: a pair of blocks of maps, or one block. Tiles are of nearly
// equal size, since a small last one would waste most of its registers. Strips take turns on chunks of tiles whose inputs
// stay in a cache: in L1 if the weights do, too.
struct BlockedTiling {
  bool is_flat, is_pointwise;
  int64_t line, line_tiles, width;  // outputs of a line of tiles; its tiles; outputs of a tile
  int64_t tiles, chunk;             // of an image and group; of a chunk
  int64_t blocks, strips;           // blocks of maps of a strip; strips of a group

  explicit BlockedTiling(const ConvolveArgs& args) {
    const ConvolveAxis &b = args.axis[1], &c = args.axis[2];
    is_flat = c.count * 2 <= kOutputs && b.count > 1 && !args.x_is_linear;
    const int64_t lines = is_flat ? 1 : b.count;
    line = is_flat ? b.count * c.count : c.count;
    const int64_t most_points = args.is_gated ? kGatedOutputs : kPointwiseOutputs;
    is_pointwise = most_points > 0 && !args.x_is_linear && b.count == 1 && is_of_points(b) && is_of_points(c);
    const int64_t most = is_pointwise ? most_points : kOutputs;
    line_tiles = (line + most - 1) / most;
    width = line_tiles > 0 ? (line + line_tiles - 1) / line_tiles : 0;
    if (width > 0) line_tiles = (line + width - 1) / width;
    tiles = lines * line_tiles;
    blocks = is_pointwise ? 1 : kMapBlocks;
    strips = (blocks_of(args.maps) + blocks - 1) / blocks;
    const int64_t weights = strips * blocks * blocks_of(args.channels) * b.taps * c.taps * kBlock * kBlock * 4;
    const int64_t inputs = args.channels * b.in * c.in * 4, room = weights <= 24 << 10 ? 16 << 10 : 512 << 10;
    // Threads take chunks of their own, and so read what they wrote in the layer before, unless weights are most of
    // what is read: then they share a chunk, each with maps of its own.
    int64_t chunks = inputs / room + 1;
    if (chunks > 1 || weights <= 2 * inputs) chunks += chunks % 2;
    chunk = (tiles + chunks - 1) / chunks;
    if (chunk < 1) chunk = 1;
  }
  int64_t items() const { return tiles * strips; }  // of an image and group

 private:
  static bool is_of_points(const ConvolveAxis& a) {
    return a.taps == 1 && a.off_first == 0 && a.in_step == 1 && a.out_first == 0 && a.out_step == 1 && a.count <= a.in;
  }
};

// One item, in the order [chunk][strip][tile of the chunk].
struct BlockedItem {
  int64_t strip, tile;
  int64_t in_chunk, n_in_chunk;  // of the tile, and how many

  BlockedItem(const BlockedTiling& tiling, int64_t item) {
    const int64_t first = item / (tiling.chunk * tiling.strips) * tiling.chunk, rest = item - first * tiling.strips;
    n_in_chunk = tiling.tiles - first < tiling.chunk ? tiling.tiles - first : tiling.chunk;
    strip = rest / n_in_chunk;
    in_chunk = rest % n_in_chunk;
    tile = first + in_chunk;
  }
};

}  // namespace

int64_t convolve_blocked_items(const ConvolveArgs& args) {
  return args.images * args.groups * BlockedTiling(args).items();
}

namespace {

// A run of tiles of one chunk for one strip.
struct BlockedRun {
  const ConvolveArgs& args;
  const BlockedTiling& tiling;
  BlockedTile& tile;
  Unfinished<kMapBlocks, kMostOutputs>& unfinished;
  float* y;  // first block of maps of this image and group's part
  int64_t image, map, n_blocks, channel_blocks, next_blocks;

  void run(const BlockedItem& at, int64_t n_tiles) {
    const ConvolveAxis& c = args.axis[2];
    const int64_t steps = channel_blocks * args.axis[1].taps * c.taps;
    const int64_t last = tiling.line - (tiling.line_tiles - 1) * tiling.width;
    const BlockedKernel whole = kernel(tiling.width), rest = kernel(last);
    int64_t line = at.tile / tiling.line_tiles, in_line = at.tile % tiling.line_tiles;
    for (int64_t i = 0; i < n_tiles; ++i) {
      const bool is_last = in_line + 1 == tiling.line_tiles;
      const int64_t n = is_last ? last : tiling.width, start = in_line * tiling.width;
      tile.prefetch(at.in_chunk + i, at.n_in_chunk, steps, n_blocks, next_blocks);
      tile.to = y + (tiling.is_flat ? tile.locate(args, n, start / c.count, start % c.count)
                                    : tile.locate(args, n, line, start));
      tile.to_block = tile.finish.y_block;
      if (!tile.finish.is_all) {
        tile.to = unfinished.room(args, tile.to, tile.out, n, n_blocks, image, map, tile.maps);
        tile.to_block = unfinished.kPitch;
        for (int64_t p = 0; p < n; ++p) tile.out[p] = p * kBlock;
      }
      (is_last ? rest : whole)(args, tile);
      in_line = is_last ? 0 : in_line + 1;
      line += is_last;
    }
  }
  BlockedKernel kernel(int64_t n_outputs) const {
    if (args.is_gated) return pointwise_kernel<kGatedOutputs, true>(n_outputs);
    return tiling.is_pointwise ? pointwise_kernel<kPointwiseOutputs>(n_outputs)
                               : blocked_kernel<kOutputs>(args, n_outputs, n_blocks);
  }
};

}  // namespace

// Items [first, last): images, groups, and those of BlockedItem.
void convolve_blocked(const ConvolveArgs& args, int64_t first, int64_t last) {
  const ConvolveAxis &b = args.axis[1], &c = args.axis[2];
  const BlockedTiling tiling(args);
  const int64_t map_blocks = blocks_of(args.maps), channel_blocks = blocks_of(args.channels);
  const int64_t x_group = (args.x_is_linear ? args.channels : channel_blocks * kBlock) * b.in * c.in;
  BlockedTile tile{Finish(args)};
  constexpr int64_t kFar = 512 << 10;  // bytes of y
  tile.is_far = tile.finish.is_all && args.groups * map_blocks * tile.finish.y_block * 4 > kFar;
  tile.is_flat = tiling.is_flat;
  tile.weight_block = channel_blocks * b.taps * c.taps * kBlock * kBlock;
  Unfinished<kMapBlocks, kMostOutputs> unfinished(b.out_step * c.out_step != 1);
  for (int64_t item = first, n; item < last; item += n) {
    const int64_t unit = item / tiling.items(), group = unit % args.groups;
    const BlockedItem at(tiling, item % tiling.items());
    n = at.n_in_chunk - at.in_chunk < last - item ? at.n_in_chunk - at.in_chunk : last - item;
    const int64_t block = at.strip * tiling.blocks, left = map_blocks - block;
    const int64_t n_blocks = left < tiling.blocks ? left : tiling.blocks;
    // Of the next strip, which a thread computes next, if not in this call then in another.
    const bool is_followed = args.is_followed || group + 1 < args.groups;
    const int64_t rest = left > n_blocks ? left - n_blocks : is_followed ? tiling.blocks : 0;
    const int64_t next = rest < tiling.blocks ? rest : tiling.blocks;
    tile.x = static_cast<const float*>(args.x) + unit * x_group;
    tile.is_first = at.strip == 0;
    tile.weights = static_cast<const float*>(args.weights) + (group * map_blocks + block) * tile.weight_block;
    tile.gate = args.is_gated ? args.gate + unit / args.groups * args.gate_image : nullptr;
    tile.bias = args.bias ? args.bias + group * args.maps + block * kBlock : nullptr;
    tile.maps = args.maps - block * kBlock;
    float* const y = static_cast<float*>(args.y) + (unit * map_blocks + block) * tile.finish.y_block;
    const int64_t map = group * args.maps + block * kBlock;
    BlockedRun{args, tiling, tile, unfinished, y, unit / args.groups, map, n_blocks, channel_blocks, next}.run(at, n);
  }
  unfinished.finish(args);
}

}  // namespace DT_ISA

#endif
