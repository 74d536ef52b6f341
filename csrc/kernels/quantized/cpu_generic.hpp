// SPDX-License-Identifier: Apache-2.0
// Products of integers of 8 bits, compiled once per instruction set, for matrices and convolutions.
// Instruction sets: all, avx512vnni.
#ifndef DOVETAIL_KERNELS_QUANTIZED_CPU_GENERIC_HPP
#define DOVETAIL_KERNELS_QUANTIZED_CPU_GENERIC_HPP

#include "kernels/quantized/dot.hpp"
#include "kernels/quantized/finish.hpp"
#include "kernels/quantized/steps.hpp"

namespace DT_ISA {
namespace {

// One row of pixels times `panels` panels of b.
template <int panels>
void row_of_sums(const QuantizedArgs& args, const uint8_t* a, int64_t pixels, int64_t group, int64_t panel,
                 int64_t y_at) {
  const int64_t panel_bytes = args.entries * kQuantizedEntryBytes, all = args.panels();
  const int8_t* const b = args.b + (group * all + panel) * panel_bytes;
  int32_t sums[kMostPixels * panels * kPanelLanes], of_a[kMostPixels * kPanelLanes];
  // As few pieces as there must be, of nearly the same size.
  const int64_t pieces = (pixels + kMostPixels - 1) / kMostPixels;
  for (int64_t piece = 0; piece < pieces; ++piece) {
    const int64_t first = pixels * piece / pieces, n = pixels * (piece + 1) / pieces - first;
    const uint8_t* const pixel = a + first * args.a_pixel;
    if (args.finish.b_zeros) {
      dot_for<kMostPixels, 1>(n)(pixel, args.a_pixel, args.offsets, args.entries, args.ones, 0, of_a);
    }
    dot_for<kMostPixels, panels>(n)(pixel, args.a_pixel, args.offsets, args.entries, b, panel_bytes, sums);
    for (int p = 0; p < panels; ++p) {
      const int64_t column = (panel + p) * kPanelLanes, rest = args.all_columns - group * args.columns;
      const int64_t left = (rest < args.columns ? rest : args.columns) - column;
      const Finish finish(args.finish, group * all * kPanelLanes + column);
      for (int64_t i = 0; i < n; ++i) {
        finish.write(sums + (i * panels + p) * kPanelLanes, args.finish.b_zeros ? of_a[i * kPanelLanes] : 0, args.y,
                     y_at + (first + i) * args.y_pixel + (panel + p) * args.y_panel,
                     left < kPanelLanes ? left : kPanelLanes, args.is_blocked);
      }
    }
  }
}

}  // namespace

void quantized_sums(const QuantizedArgs& args, int64_t first, int64_t last) {
  const int64_t panels = args.panels(), sets = (panels + kQuantizedPanels - 1) / kQuantizedPanels;
  for (int64_t item = first; item < last; ++item) {
    const int64_t row = item % args.rows, set = item / args.rows % sets, rest = item / args.rows / sets;
    const int64_t group = rest % args.groups, image = rest / args.groups, panel = set * kQuantizedPanels;
    const int64_t pixels = row + 1 < args.rows ? args.pixels : args.last_pixels;
    const uint8_t* const a = args.a + image * args.a_image + group * args.a_group + row * args.a_row;
    const int64_t y_at = image * args.y_image + group * panels * args.y_panel + row * args.y_row;
    if (panels - panel >= kQuantizedPanels) {
      row_of_sums<kQuantizedPanels>(args, a, pixels, group, panel, y_at);
    } else {
      row_of_sums<1>(args, a, pixels, group, panel, y_at);
    }
  }
}

void quantized_fill(const QuantizedFill& args, int64_t first, int64_t last) {
  const int64_t blocks = args.blocks(), plane = args.height * args.width, lanes = args.lanes;
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
      const uint8_t* const x = args.x + ((image * blocks + block) * plane + h * args.width) * lanes;
      for (int64_t i = 0; i < n * lanes; ++i) cells[i] = x[i] ^ args.flip;
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
