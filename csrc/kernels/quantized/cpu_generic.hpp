// SPDX-License-Identifier: Apache-2.0
// Products of integers of 8 bits, compiled once per instruction set, for matrices and convolutions.
// Instruction sets: all, avx512vnni, amx.
#ifndef DOVETAIL_KERNELS_QUANTIZED_CPU_GENERIC_HPP
#define DOVETAIL_KERNELS_QUANTIZED_CPU_GENERIC_HPP

#if defined(__AMX_INT8__)
#include "kernels/quantized/tiles.hpp"
#else
#include "kernels/quantized/depthwise.hpp"
#include "kernels/quantized/dot.hpp"
#include "kernels/quantized/finish.hpp"
#include "kernels/quantized/pack.hpp"
#include "kernels/quantized/steps.hpp"

namespace DT_ISA {
namespace {

// One row of pixels times `panels` panels of b.
template <int panels>
void row_of_sums(const QuantizedArgs& args, const uint8_t* a, int64_t pixels, int64_t group, int64_t panel,
                 const int32_t* a_sums, int64_t y_at) {
  const int64_t panel_bytes = args.entries * kQuantizedEntryBytes, all = args.panels();
  const int8_t* const b = args.b + (group * all + panel) * panel_bytes;
  int32_t sums[kMostPixels * panels * kPanelLanes];
  // As few pieces as there must be, of nearly the same size.
  const int64_t pieces = (pixels + kMostPixels - 1) / kMostPixels;
  for (int64_t piece = 0; piece < pieces; ++piece) {
    const int64_t first = pixels * piece / pieces, n = pixels * (piece + 1) / pieces - first;
    dot_for<kMostPixels, panels>(n)(a + first * args.a_pixel, args.a_pixel, args.offsets, args.entries, b, panel_bytes,
                                    sums);
    for (int p = 0; p < panels; ++p) {
      const int64_t column = (panel + p) * kPanelLanes, rest = args.all_columns - group * args.columns;
      const int64_t left = (rest < args.columns ? rest : args.columns) - column;
      const PanelSums of = {sums + p * kPanelLanes, a_sums ? a_sums + first : nullptr, panels * kPanelLanes, n};
      const PanelPlace place = {y_at + first * args.y_pixel + (panel + p) * args.y_panel, args.y_pixel,
                                left < kPanelLanes ? left : kPanelLanes, args.is_blocked};
      Finish(args.finish, group * all * kPanelLanes + column).write(of, args.y, place);
    }
  }
}

int64_t pixels_of(const QuantizedArgs& args, int64_t row) {
  return row + 1 < args.rows ? args.pixels : args.last_pixels;
}

// Elements of a_sums in front of a row.
int64_t a_sums_at(const QuantizedArgs& args, int64_t image, int64_t group, int64_t row) {
  return ((image * args.groups + group) * args.rows + row) * args.pixels;
}

}  // namespace

void quantized_sums(const QuantizedArgs& args, int64_t first, int64_t last) {
  const int64_t panels = args.panels(), sets = (panels + kQuantizedPanels - 1) / kQuantizedPanels;
  for (int64_t item = first; item < last; ++item) {
    const int64_t row = item % args.rows, set = item / args.rows % sets, rest = item / args.rows / sets;
    const int64_t group = rest % args.groups, image = rest / args.groups, panel = set * kQuantizedPanels;
    const int64_t pixels = pixels_of(args, row);
    const uint8_t* const a = args.a + image * args.a_image + group * args.a_group + row * args.a_row;
    const int32_t* const a_sums = args.finish.b_zeros ? args.a_sums + a_sums_at(args, image, group, row) : nullptr;
    const int64_t y_at = image * args.y_image + group * panels * args.y_panel + row * args.y_row;
    if (panels - panel >= kQuantizedPanels) {
      row_of_sums<kQuantizedPanels>(args, a, pixels, group, panel, a_sums, y_at);
    } else {
      row_of_sums<1>(args, a, pixels, group, panel, a_sums, y_at);
    }
  }
}

void quantized_a_sums(const QuantizedArgs& args, int64_t first, int64_t last) {
  int32_t sums[kMostPixels * kPanelLanes];
  for (int64_t item = first; item < last; ++item) {
    const int64_t row = item % args.rows, group = item / args.rows % args.groups,
                  image = item / args.rows / args.groups;
    const uint8_t* const a = args.a + image * args.a_image + group * args.a_group + row * args.a_row;
    int32_t* const to = args.a_sums + a_sums_at(args, image, group, row);
    const int64_t pixels = pixels_of(args, row);
    for (int64_t at = 0; at < pixels; at += kMostPixels) {
      const int64_t n = pixels - at < kMostPixels ? pixels - at : kMostPixels;
      dot_for<kMostPixels, 1>(n)(a + at * args.a_pixel, args.a_pixel, args.offsets, args.entries, args.ones, 0, sums);
      for (int64_t i = 0; i < n; ++i) to[at + i] = sums[i * kPanelLanes];
    }
  }
}

namespace {

// n cells of 16 bytes, which lie `step` bytes apart in `to`.
void fill_cells(const uint8_t* x, int64_t n, uint8_t flip, uint8_t* to, int64_t step) {
  typedef uint8_t Cell __attribute__((vector_size(kQuantizedColumns), aligned(1), may_alias));
  for (int64_t i = 0; i < n; ++i) {
    *reinterpret_cast<Cell*>(to + i * step) = *reinterpret_cast<const Cell*>(x + i * kQuantizedColumns) ^ flip;
  }
}

}  // namespace

void quantized_fill(const QuantizedFill& args, int64_t first, int64_t last) {
  const int64_t blocks = args.blocks(), plane = args.height * args.width, lanes = args.lanes;
  const int64_t parts = lanes / kQuantizedColumns;  // of x, where it is blocked, in a block
  for (int64_t item = first; item < last; ++item) {
    const int64_t row = item % args.rows, block = item / args.rows % blocks, image = item / args.rows / blocks;
    uint8_t* const to = args.to + item * args.pixels * lanes;
    const int64_t h = row - args.top;
    memset(to, args.zero, static_cast<size_t>(args.pixels * lanes));
    if (h < 0 || h >= args.height) continue;
    const int64_t w0 = args.left, room = args.pixels - w0, n = args.width < room ? args.width : room;
    if (n <= 0) continue;
    uint8_t* const cells = to + w0 * lanes;
    if (args.is_blocked) {
      for (int64_t part = 0; part < parts; ++part) {
        const int64_t at = ((image * blocks + block) * parts + part) * plane + h * args.width;
        fill_cells(args.x + at * kQuantizedColumns, n, args.flip, cells + part * kQuantizedColumns, lanes);
      }
      continue;
    }
    for (int64_t lane = 0; lane < lanes && block * lanes + lane < args.channels; ++lane) {
      const uint8_t* const x = args.x + (image * args.channels + block * lanes + lane) * plane + h * args.width;
      for (int64_t i = 0; i < n; ++i) cells[i * lanes + lane] = x[i] ^ args.flip;
    }
  }
}

void quantized_rows(const QuantizedRows& args, int64_t first, int64_t last) {
  for (int64_t row = first; row < last; ++row) {
    const uint8_t* const x = args.x + row * args.k;
    uint8_t* const to = args.to + row * args.padded;
    for (int64_t i = 0; i < args.k; ++i) to[i] = x[i] ^ args.flip;
    for (int64_t i = args.k; i < args.padded; ++i) to[i] = 0;
  }
}

}  // namespace DT_ISA

#endif

#endif
