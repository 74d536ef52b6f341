// SPDX-License-Identifier: Apache-2.0
// Arguments of the kernels for integers of 8 bits with zero points. With a in uint8 and b in int8,
//
//   y[pixel, n] = finish(start[n] + sum over k of a[pixel, k] * b[k, n] - b_zeros[n] * sum over k of a[pixel, k])
//
// int8 a is read as a + 128 and uint8 b as b - 128, and their zero points are moved alike; start[n] makes up for the
// zero point of a, so that the sums are those of (a - zero) * (b - zero), modulo 2^32.
//
// k is cut into entries of 16: entry e of a pixel is 16 bytes at its address plus offsets[e]. So a matrix, a 1x1
// convolution and one with a window, on [.., C / 16, H, W, 16] with its padding in place, are the same to the kernel.
#ifndef DOVETAIL_KERNELS_QUANTIZED_ARGS_HPP
#define DOVETAIL_KERNELS_QUANTIZED_ARGS_HPP

#include <stdint.h>

#include "dovetail/detail/isa.hpp"
#include "kernels/simd/vec.hpp"

constexpr int64_t kQuantizedEntry = 16;                           // of k
constexpr int64_t kTileOfPixels = 16;                             // rows of a tile of a
constexpr int64_t kEntriesOfTile = 4;                             // and what they are long
constexpr int64_t kQuantizedColumns = 16;                         // of b, in a panel
constexpr int64_t kQuantizedEntryBytes = 16 * kQuantizedColumns;  // of a panel: [k / 4][column][4]

// What becomes of sums. Where another tensor is added, y is, of what it would be without and of the other,
// limited(nearest(by_own * (y - zero) + by_added * other + offset)) + sum_zero. Vectors have an element for each column
// of all groups, each group padded to whole panels.
struct QuantizedFinish {
  const int32_t* start;
  const int32_t* b_zeros;  // null where all are 0
  const float* factors;    // y = sum * factor; null where y is int32
  const float* biases;     // added to that where y is float32, or null
  float low, high;         // limits of sum * factor where y is int8 or uint8
  float zero;              // of y, then added
  int32_t y_type;
  const uint8_t* added;  // integers of y's type laid as y is, or null
  float by_own, by_added, offset, sum_low, sum_high, sum_zero;
};

struct QuantizedArgs {
  const uint8_t* a;
  int64_t a_image, a_group, a_row, a_pixel;  // bytes between neighbours
  const int64_t* offsets;
  int64_t entries;
  const int8_t* b;                                    // [group][panel][entry][kQuantizedEntryBytes]
  const int8_t* ones;                                 // a panel of ones in each k that exists, where b has zero points
  int32_t* a_sums;                                    // then [image][group][row][pixel], of what quantized_a_sums finds
  int64_t images, groups, rows, pixels, last_pixels;  // pixels of a row, and of the last one
  int64_t columns, all_columns;                       // of a group, and of all: the last group may have fewer
  void* y;
  int64_t y_image, y_row, y_pixel, y_panel;  // elements between neighbours; groups follow on each other by panels or,
  bool is_blocked;                           // where y is not blocked, there is one group
  bool is_direct;                            // quantized_tiles: four entries lie side by side, and tiles in place
  int64_t block, splits;                     // of quantized_tiles: pixels of an item, and items that share the panels
  QuantizedFinish finish;

  int64_t panels() const { return (columns + kQuantizedColumns - 1) / kQuantizedColumns; }
};

// A convolution of each channel with a window of its own, on [image, C / 16, rows, pixels, 16]. Weights are panels as
// those of b, whose k are the taps, each row of the window filled up to whole fours: four taps side by side are 64
// bytes of x.
struct QuantizedDepthwise {
  const uint8_t* a;
  int64_t a_block;                        // bytes between neighbours
  int64_t row_step, row_stride;           // bytes between taps and between rows of y
  int64_t stride;                         // pixels of x between those of y
  const int8_t *b, *ones;                 // as QuantizedArgs has them
  int64_t entries;                        // of a panel
  int64_t images, blocks, height, width;  // of y
  int64_t window_rows, fours;             // fours of taps in a row of the window
  int64_t channels;                       // of all blocks
  void* y;
  QuantizedFinish finish;
};
constexpr int64_t kDepthwiseRows = 4;      // of y, taken at once
constexpr int64_t kDepthwiseOverrun = 64;  // bytes that are read behind the last ones of x

// Tensor x of [image, channel, inner..] into the form above: [image][block][row][pixel][lanes], as uint8, with the zero
// point around it.
struct QuantizedFill {
  const uint8_t* x;
  uint8_t* to;
  bool is_blocked;  // x is CHW16, else linear
  uint8_t flip;     // 0x80 where x is int8
  uint8_t zero;     // of x, as stored in `to`
  int64_t images, channels, height, width;
  int64_t lanes;         // 16, or 4 for up to four channels of a linear tensor, or all channels of a blocked one
  int64_t top, left;     // zeros in front
  int64_t rows, pixels;  // of `to`
  int64_t blocks() const { return (channels + lanes - 1) / lanes; }
};

// Matrix rows of k bytes into rows of whole entries, as uint8.
struct QuantizedRows {
  const uint8_t* x;
  uint8_t* to;
  uint8_t flip;
  int64_t k, padded;
};

// A matrix b [k, n] of a run into panels of whole entries, as int8, and the sums of its columns.
struct QuantizedPack {
  const uint8_t* b;
  int8_t* to;
  int32_t* sums;  // [panel][kQuantizedColumns]
  uint8_t flip;   // 0x80 where b is uint8
  int64_t k, n, entries;
};

// Elements in real numbers as integers of 8 bits: y = limited(nearest(x / scale)) + zero.
struct QuantizedSteps {
  const float* x;
  uint8_t* y;
  float scale, zero, low, high;  // limits of the quotient
};

// real = (x - zero) * scale
struct DequantizedSteps {
  const uint8_t* x;
  float* y;
  float scale;
  int32_t zero;
  bool is_signed;
};

// y = limited(nearest(a_factor * (a - a_zero) + b_factor * (b - b_zero))) + zero, where `offset` is what the zero points
// of a and b make.
struct QuantizedAddition {
  const uint8_t *a, *b;
  uint8_t* y;
  bool a_is_signed, b_is_signed;
  float a_factor, b_factor, offset, zero, low, high;
};

// Kernels, defined in cpu_generic.hpp. Ranges are of items:
//   quantized_sums   (image, group, panels of b that are taken at once, row), panels before rows
//   quantized_tiles  (image, group, block of pixels, part of the panels of b); scratch holds a block as tiles
//   quantized_a_sums (image, group, row)
//   quantized_depthwise (image, block, rows of y that are taken at once)
//   quantized_fill   (image, block, row of `to`)
//   quantized_rows   (row)
//   quantized_pack   (panel)
// and of elements in those behind it; quantized_range finds the least and the largest, or 0.
DOVETAIL_KERNELS(void quantized_sums(const QuantizedArgs& args, int64_t first, int64_t last);
                 void quantized_tiles(const QuantizedArgs& args, int64_t first, int64_t last, void* scratch);
                 void quantized_a_sums(const QuantizedArgs& args, int64_t first, int64_t last);
                 void quantized_depthwise(const QuantizedDepthwise& args, int64_t first, int64_t last);
                 void quantized_fill(const QuantizedFill& args, int64_t first, int64_t last);
                 void quantized_rows(const QuantizedRows& args, int64_t first, int64_t last);
                 void quantized_pack(const QuantizedPack& args, int64_t first, int64_t last);
                 void quantized_steps(const QuantizedSteps& args, int64_t first, int64_t last);
                 void dequantized_steps(const DequantizedSteps& args, int64_t first, int64_t last);
                 void quantized_addition(const QuantizedAddition& args, int64_t first, int64_t last);
                 void quantized_range(const float* x, int64_t n, float* low, float* high);)

// Panels of b that are multiplied at once.
#define DT_QUANTIZED_PANELS(isa, needs, lanes, of, ...)     \
  namespace isa {                                           \
  constexpr int64_t kQuantizedPanels = lanes == 16 ? 2 : 1; \
  }
DOVETAIL_ISAS(DT_QUANTIZED_PANELS, )
#undef DT_QUANTIZED_PANELS

#endif
