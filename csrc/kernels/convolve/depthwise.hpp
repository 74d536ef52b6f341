// SPDX-License-Identifier: Apache-2.0
// Depthwise convolution (one channel and one map a group) on blocks of 16 channels (CHW16), in float32.
// Weights: [block][taps][16].
#ifndef DOVETAIL_KERNELS_CONVOLVE_DEPTHWISE_HPP
#define DOVETAIL_KERNELS_CONVOLVE_DEPTHWISE_HPP

#include "kernels/convolve/finish.hpp"

namespace DT_ISA {

constexpr int kDepthwise = kLanes == 16 ? 8 : kLanes == 8 ? 4 : 2;  // outputs of a tile

// One row of outputs of one block.
struct DepthwiseRow {
  Finish finish;
  const float* x;        // of the block that has the channels
  const float* weights;  // of the block
  const float* bias;     // of the block, or null
  int64_t maps;          // from the block's first to the last
  float* to;             // where the sums of a tile go, `step` apart
  int64_t step;
  int64_t h;                    // row of x at the first tap
  int64_t first_tap, last_tap;  // taps [first, last) meet rows of x
  int64_t first_channel;        // in its block; above 0 only where groups have fewer channels than maps
};

typedef void (*DepthwiseTile)(const ConvolveArgs& args, const DepthwiseRow& row, int64_t j, int64_t first,
                              int64_t last);

// Kernels of n outputs, of which the first `left` and the last `right` columns of inputs are outside of x; null if there is
// none. edge: of one output with any taps. They are compiled in a file of their own.
DepthwiseTile depthwise_kernel(const ConvolveAxis& c, int64_t n, int64_t left, int64_t right);
DepthwiseTile depthwise_edge();

namespace {

// Taps [first, last) of an axis whose inputs, from `at` on, are inside of x. Distances may be negative.
inline void taps_inside(const ConvolveAxis& axis, int64_t at, int64_t* first, int64_t* last) {
  *first = 0;
  *last = axis.taps;
  while (*first < *last && (at + *first * axis.off_step < 0 || at + *first * axis.off_step >= axis.in)) ++*first;
  while (*first < *last && (at + (*last - 1) * axis.off_step < 0 || at + (*last - 1) * axis.off_step >= axis.in))
    --*last;
}

// How the outputs of a row are computed: [0, begin) and [end, count) each with its own taps, those between in tiles of
// nearly equal size. Where there are kernels for the columns outside of x of the first and the last tile, these begin and
// end the row.
struct DepthwiseSplit {
  int64_t begin = 0, end, width;
  DepthwiseTile first_tile, tile, last_tile, edge;

  explicit DepthwiseSplit(const ConvolveAxis& c) : end(c.count), edge(depthwise_edge()) {
    const int64_t reach = (c.taps - 1) * c.off_step;  // negative in transposed convolutions
    const int64_t near = c.off_first + (reach < 0 ? reach : 0);
    const int64_t far = (c.count - 1) * c.in_step + c.off_first + (reach > 0 ? reach : 0);
    if (take_tiles(c, near < 0 ? -near : 0, far >= c.in ? far - c.in + 1 : 0)) return;
    while (begin < c.count && !is_inside(c, begin)) ++begin;
    end = begin;
    while (end < c.count && is_inside(c, end)) ++end;
    take_tiles(c, 0, 0);
  }
  bool take_tiles(const ConvolveAxis& c, int64_t left, int64_t right) {
    const int64_t n = end - begin, tiles = (n + kDepthwise - 1) / kDepthwise;
    width = tiles > 0 ? (n + tiles - 1) / tiles : 1;
    const int64_t last = n > 0 ? n - (n - 1) / width * width : width;
    const bool is_one = n <= width;
    first_tile = depthwise_kernel(c, width, left, is_one ? right : 0);
    tile = depthwise_kernel(c, width, 0, 0);
    last_tile = is_one ? first_tile : depthwise_kernel(c, last, 0, right);
    return first_tile && last_tile && width * c.in_step >= left && last * c.in_step >= right;
  }
  static bool is_inside(const ConvolveAxis& c, int64_t j) {
    const int64_t near = j * c.in_step + c.off_first, far = near + (c.taps - 1) * c.off_step;
    return near >= 0 && near < c.in && far >= 0 && far < c.in;
  }
  // to(j, n): where the sums of outputs [j, j + n) go
  template <class To>
  void run(const ConvolveArgs& args, DepthwiseRow& row, const To& to) const {
    const ConvolveAxis& c = args.axis[2];
    for (int64_t j = 0, n; j < c.count; j += n) {
      const bool is_edge = j < begin || j >= end;
      int64_t first = 0, last = c.taps;
      if (is_edge) taps_inside(c, j * c.in_step + c.off_first, &first, &last);
      n = is_edge ? 1 : end - j < width ? end - j : width;
      row.to = to(j, n);
      (is_edge ? edge : j == begin ? first_tile : j + n == end ? last_tile : tile)(args, row, j, first, last);
    }
  }
};

// Rows of outputs, one after the other, of a convolution whose groups have as many channels as maps, or one channel and a
// number of maps that divides 16. Split says how a row is computed.
template <class Split>
class BlockRows {
 public:
  explicit BlockRows(const ConvolveArgs& args)
      : args_(args),
        split_(args.axis[2]),
        row_{Finish(args)},
        unfinished_(args.axis[1].out_step * args.axis[2].out_step != 1) {
    row_.step = row_.finish.is_all ? args.axis[2].out_step * kBlock : kBlock;
    for (int p = 0; p < kDepthwise; ++p) out_[p] = p * args.axis[2].out_step * kBlock;
  }

  // Row jh of a block of maps of an image. x: of the block with their channels, from row x_first on.
  void run(const float* x, int64_t x_first, int64_t image, int64_t block, int64_t jh) {
    const ConvolveAxis &b = args_.axis[1], &c = args_.axis[2];
    row_.x = x;
    row_.first_channel = block * kBlock * args_.channels / args_.maps % kBlock;
    row_.weights = static_cast<const float*>(args_.weights) + block * b.taps * c.taps * args_.channels * kBlock;
    row_.bias = args_.bias ? args_.bias + block * kBlock : nullptr;
    row_.maps = args_.groups * args_.maps - block * kBlock;
    const int64_t h = jh * b.in_step + b.off_first;
    taps_inside(b, h, &row_.first_tap, &row_.last_tap);
    row_.h = h - x_first;
    float* const y = y_of(image, block, jh);
    split_.run(args_, row_, [&](int64_t j, int64_t n) {
      float* const to = y + j * c.out_step * kBlock;
      return row_.finish.is_all ? to : unfinished_.room(args_, to, out_, n, 1, image, block * kBlock, row_.maps);
    });
  }
  void finish() { unfinished_.finish(args_); }

  // Where row jh of a block begins, and the distance of two blocks.
  float* y_of(int64_t image, int64_t block, int64_t jh) const {
    const ConvolveAxis &b = args_.axis[1], &c = args_.axis[2];
    const int64_t row = (image * blocks_of(args_.groups * args_.maps) + block) * b.out + b.out_first + jh * b.out_step;
    return static_cast<float*>(args_.y) + (row * c.out + c.out_first) * kBlock;
  }
  int64_t y_block() const { return row_.finish.y_block; }

 private:
  const ConvolveArgs& args_;
  const Split split_;
  DepthwiseRow row_;
  Unfinished<1, kDepthwise> unfinished_;
  int64_t out_[kDepthwise];
};

using DepthwiseRows = BlockRows<DepthwiseSplit>;

// Items [first, last): images, bands of rows, blocks of 16 maps, and rows of a band, rows fastest. Bands keep threads
// to rows of their own, as the layers before and after do; of a small image channels are divided.
template <class Split>
void convolve_block_rows(const ConvolveArgs& args, int64_t first, int64_t last) {
  const ConvolveAxis &b = args.axis[1], &c = args.axis[2];
  const int64_t blocks = blocks_of(args.groups * args.maps), items = blocks * b.count;
  const int64_t n_bands = b.count * c.count < 196 ? 1 : (b.count + 15) / 16 * 2;
  const int64_t most_rows = (b.count + n_bands - 1) / n_bands, x_blocks = blocks_of(args.groups * args.channels);
  BlockRows<Split> outputs(args);
  for (int64_t item = first; item < last; ++item) {
    const int64_t image = item / items, first_row = item % items / (most_rows * blocks) * most_rows;
    const int64_t rows = b.count - first_row < most_rows ? b.count - first_row : most_rows;
    const int64_t in_band = item % items - first_row * blocks, block = in_band / rows;
    const int64_t x_block = image * x_blocks + block * args.channels / args.maps;
    const float* const x = static_cast<const float*>(args.x) + x_block * b.in * c.in * kBlock;
    outputs.run(x, 0, image, block, first_row + in_band % rows);
  }
  outputs.finish();
}

}  // namespace
}  // namespace DT_ISA

#endif
