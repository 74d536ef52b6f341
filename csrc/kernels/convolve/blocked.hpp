// SPDX-License-Identifier: Apache-2.0
// Convolution that writes blocks of 16 maps (CHW16), in float32, from CHW16 or, in a first layer, from a linear tensor.
// Weights: [group][block of maps][block of channels][taps][channel of the block][16 maps], zeros where there is no map.
#ifndef DOVETAIL_KERNELS_CONVOLVE_BLOCKED_HPP
#define DOVETAIL_KERNELS_CONVOLVE_BLOCKED_HPP

#include "kernels/convolve/blocked_tile.hpp"

namespace DT_ISA {
namespace {

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
    if (args.is_gated) return gated_kernel(n_outputs);
    if (tiling.is_pointwise) return pointwise_kernel(n_outputs);
    return (args.x_is_linear ? stem_kernel : blocked_kernel)(n_outputs, n_blocks, args.axis[2].in_step);
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
