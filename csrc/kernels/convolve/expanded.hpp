// SPDX-License-Identifier: Apache-2.0
// A 1x1 convolution and the depthwise convolution behind it, on blocks of 16 channels (CHW16), in float32: some rows of
// the map between them, of one pair of blocks, are made in scratch memory and read there. The whole map is never stored:
// where it is larger than the caches, writing and reading it takes longer than what is computed.
// Weights: those of blocked.hpp and those of depthwise.hpp.
#ifndef DOVETAIL_KERNELS_CONVOLVE_EXPANDED_HPP
#define DOVETAIL_KERNELS_CONVOLVE_EXPANDED_HPP

#include <string.h>

#include "kernels/convolve/blocked_tile.hpp"
#include "kernels/convolve/depthwise.hpp"

namespace DT_ISA {
namespace {

// Rows of the map that scratch memory has room for: those that one row of outputs needs, or as many as stay in a cache.
inline int64_t expanded_rows(const ConvolveArgs& depthwise) {
  constexpr int64_t kRoom = 128 << 10;  // bytes
  const ConvolveAxis& b = depthwise.axis[1];
  const int64_t window = (b.taps - 1) * b.off_step + 1;
  const int64_t row = depthwise.axis[2].in * kBlock * kMapBlocks * 4, most = row > 0 ? kRoom / row : 1;
  const int64_t rows = most > window ? most : window;
  return rows < b.in ? rows : b.in;
}

// Lines of y that are written next, of each block: they are asked for while tiles of the map are computed.
struct LinesAhead {
  const float* y;
  int64_t block, n;  // floats from one block to the next; lines of each

  // Share `part` of `parts`.
  void prefetch(int64_t part, int64_t parts, int64_t n_blocks) const {
    for (int64_t i = 0; i < n_blocks; ++i) {
      for (int64_t k = n * part / parts; k < n * (part + 1) / parts; ++k)
        __builtin_prefetch(y + i * block + k * kBlock, 1);
    }
  }
};

// The rows [first, end) of the map that are in scratch memory, of one pair of blocks of one image.
class ExpandedRows {
 public:
  ExpandedRows(const ExpandedArgs& args, float* scratch)
      : args_(args.expansion),
        row_floats_(args.depthwise.axis[2].in * kBlock),
        block_(expanded_rows(args.depthwise) * row_floats_),
        at_(scratch) {
    tile_.finish.has_silu = args.has_silu;
    tile_.finish.low = args.low;
    tile_.finish.high = args.high;
    tile_.finish.is_clamped = args.low > -__builtin_inff() || args.high < __builtin_inff();
    tile_.to_block = block_;
    tile_.weight_block = blocks_of(args_.channels) * kBlock * kBlock;
    for (int p = 0; p < kMostOutputs; ++p) tile_.out[p] = p * kBlock;
  }

  // Rows that follow are of this image, and of the n_blocks blocks from `block` on.
  void begin(int64_t image, int64_t block, int64_t n_blocks) {
    first = end = 0;
    n_blocks_ = n_blocks;
    const int64_t plane = args_.axis[2].in * kBlock;
    tile_.x = static_cast<const float*>(args_.x) + image * blocks_of(args_.channels) * plane;
    weights_ = static_cast<const float*>(args_.weights) + block * tile_.weight_block;
    bias_ = args_.bias ? args_.bias + block * kBlock : nullptr;
    maps_ = args_.maps - block * kBlock;
  }

  // Makes it the rows [from, to), neither of which is smaller than the one before.
  void move_to(int64_t from, int64_t to, const LinesAhead& ahead) {
    const int64_t kept = from < end ? end - from : 0;
    for (int64_t i = 0; kept > 0 && from > first && i < n_blocks_; ++i) {
      float* const rows = at_ + i * block_;
      memmove(rows, rows + (from - first) * row_floats_, static_cast<size_t>(kept * row_floats_) * 4);
    }
    first = from;
    end = to;
    compute(from + kept, ahead);
  }

  const float* block(int64_t i) const { return at_ + i * block_; }

  int64_t first = 0, end = 0;

 private:
  // Where there are kernels for 1x1 windows, tiles are of one block of the pair, else of both.
  static constexpr int kWidest = kPointwiseOutputs > 0 ? kPointwiseOutputs : kOutputs;
  static constexpr int kTogether = kPointwiseOutputs > 0 ? 1 : kMapBlocks;
  BlockedKernel kernel(int64_t outputs) const {
    return kPointwiseOutputs > 0 ? pointwise_kernel(outputs) : blocked_kernel(outputs, n_blocks_, 1);
  }

  // Tiles of nearly equal size, across the ends of rows.
  void compute(int64_t from, const LinesAhead& ahead) {
    const int64_t n = (end - from) * row_floats_ / kBlock, tiles = (n + kWidest - 1) / kWidest;
    if (n <= 0) return;
    const int64_t width = (n + tiles - 1) / tiles, start = from * row_floats_ / kBlock;
    const BlockedKernel whole = kernel(width);
    for (int64_t p = 0, m; p < n; p += m) {
      m = n - p < width ? n - p : width;
      ahead.prefetch(p / width, tiles, n_blocks_);
      tile_.w = start + p;
      const BlockedKernel run = m == width ? whole : kernel(m);
      for (int64_t i = 0; i < n_blocks_; i += kTogether) {
        tile_.to = at_ + i * block_ + (from - first) * row_floats_ + p * kBlock;
        tile_.weights = weights_ + i * tile_.weight_block;
        tile_.bias = bias_ ? bias_ + i * kBlock : nullptr;
        tile_.maps = maps_ - i * kBlock;
        run(args_, tile_);
      }
    }
  }

  const ConvolveArgs& args_;
  const int64_t row_floats_, block_;  // floats of a row, and of all rows of a block
  float* const at_;
  int64_t n_blocks_ = 0, maps_ = 0;                   // of the pair, and from its first map on
  const float *weights_ = nullptr, *bias_ = nullptr;  // of the pair
  BlockedTile tile_{Finish(ConvolveArgs{})};
};

}  // namespace

int64_t convolve_expanded_floats(const ExpandedArgs& args) {
  return expanded_rows(args.depthwise) * args.depthwise.axis[2].in * kBlock * kMapBlocks;
}

int64_t convolve_expanded_items(const ExpandedArgs& args) {
  const int64_t pairs = (blocks_of(args.depthwise.groups) + kMapBlocks - 1) / kMapBlocks;
  return args.depthwise.images * pairs * args.depthwise.axis[1].count;
}

// Items [first, last): images, parts of the rows of outputs, pairs of blocks, and rows of a part, rows fastest.
void convolve_expanded(const ExpandedArgs& args, int64_t first, int64_t last, float* scratch) {
  const ConvolveAxis &b = args.depthwise.axis[1], &c = args.depthwise.axis[2];
  const int64_t blocks = blocks_of(args.depthwise.groups), pairs = (blocks + kMapBlocks - 1) / kMapBlocks;
  const int64_t part = (b.count + args.parts - 1) / args.parts, items = pairs * b.count;
  const int64_t window = (b.taps - 1) * b.off_step + 1, rows = expanded_rows(args.depthwise);
  const int64_t band = rows > window ? (rows - window) / b.in_step + 1 : 1;  // rows of outputs
  ExpandedRows map(args, scratch);
  DepthwiseRows outputs(args.depthwise);
  for (int64_t item = first, n; item < last; item += n) {
    const int64_t image = item / items, first_row = item % items / (part * pairs) * part;
    const int64_t n_rows = b.count - first_row < part ? b.count - first_row : part;
    const int64_t in_part = item % items - first_row * pairs, row = first_row + in_part % n_rows;
    const int64_t block = in_part / n_rows * kMapBlocks;
    const int64_t n_blocks = blocks - block < kMapBlocks ? blocks - block : kMapBlocks;
    n = first_row + n_rows - row < last - item ? first_row + n_rows - row : last - item;
    map.begin(image, block, n_blocks);
    for (int64_t j = row, next; j < row + n; j = next) {
      next = j + band < row + n ? j + band : row + n;
      const int64_t low = j * b.in_step + b.off_first, high = (next - 1) * b.in_step + b.off_first + window;
      const int64_t from = low < 0 ? 0 : low < b.in ? low : b.in, to = high < from ? from : high < b.in ? high : b.in;
      map.move_to(from, to, {outputs.y_of(image, block, j), outputs.y_block(), (next - j) * c.out});
      for (int64_t i = 0; i < n_blocks; ++i) {
        for (int64_t jh = j; jh < next; ++jh) outputs.run(map.block(i), map.first, image, block + i, jh);
      }
    }
  }
  outputs.finish();
}

}  // namespace DT_ISA

#endif
