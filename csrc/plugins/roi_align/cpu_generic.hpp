// SPDX-License-Identifier: Apache-2.0
// The algorithm of RoiAlign, compiled once per instruction set. An average is separable: rows of x are joined into one
// for each row of bins, and that into bins.
#ifndef DOVETAIL_PLUGINS_ROI_ALIGN_CPU_GENERIC_HPP
#define DOVETAIL_PLUGINS_ROI_ALIGN_CPU_GENERIC_HPP

#include "cpu_kernels.hpp"
#include "kernels/simd/convert.hpp"

namespace DT_ISA {
namespace {

constexpr int32_t kBlockSamples = 64;  // rows of them that are added up in one chain

struct Region {
  RoiAxis down, across;
  const RoiTap *rows, *columns;  // [bins, samples]
  int64_t left, right;           // columns of x that samples need
  float *sums, *part, *line;
};

void write_taps(const RoiAxis& axis, int64_t bins, RoiTap* to) {
  for (int64_t bin = 0; bin < bins; ++bin)
    for (int32_t sample = 0; sample < axis.samples; ++sample) *to++ = roi_tap(axis, bin, sample);
}

// Columns [left, right) of a row of x as float32, the first of them in front.
const float* row_of(const RoiAlignArgs& args, const Region& region, int64_t plane, int64_t row) {
  const int64_t at = plane + row * args.width + region.left;
  if (args.type == kF32) return static_cast<const float*>(args.x) + at;
  load_floats(args.x, args.type, at, region.line, region.right - region.left);
  return region.line;
}

void add_row(const float* from, float weight, int64_t n, float* __restrict__ sums) {
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) sums[i] += weight * from[i];
}

void averages(const RoiAlignArgs& args, const Region& region, int64_t plane, int64_t bin_row, float* y) {
  const int64_t n = region.right - region.left;
  const RoiTap* rows = region.rows + bin_row * region.down.samples;
  for (int64_t i = 0; i < n; ++i) region.sums[i] = 0;
  for (int32_t first = 0; first < region.down.samples; first += kBlockSamples) {
    float* const part = first == 0 ? region.sums : region.part;
    for (int64_t i = 0; first > 0 && i < n; ++i) part[i] = 0;
    for (int32_t i = first; i < region.down.samples && i < first + kBlockSamples; ++i) {
      if (rows[i].of_low != 0) add_row(row_of(args, region, plane, rows[i].low), rows[i].of_low, n, part);
      if (rows[i].of_high != 0) add_row(row_of(args, region, plane, rows[i].high), rows[i].of_high, n, part);
    }
    if (first > 0) add_row(part, 1.0f, n, region.sums);
  }
  const float* sums = region.sums;
  const float count = static_cast<float>(region.down.samples) * static_cast<float>(region.across.samples);
  for (int64_t bin = 0; bin < args.out_width; ++bin) {
    const RoiTap* columns = region.columns + bin * region.across.samples;
    double total = 0;
    for (int32_t i = 0; i < region.across.samples; ++i) {
      const RoiTap& tap = columns[i];
      if (tap.of_low != 0) total += static_cast<double>(tap.of_low * sums[tap.low - region.left]);
      if (tap.of_high != 0) total += static_cast<double>(tap.of_high * sums[tap.high - region.left]);
    }
    y[bin] = count > 0 ? static_cast<float>(total / static_cast<double>(count)) : 0.0f;
  }
}

float greater(float a, float b) { return a > b || a != a ? a : b; }

void maxima(const RoiAlignArgs& args, const Region& region, int64_t plane, int64_t bin_row, float* y) {
  for (int64_t bin = 0; bin < args.out_width; ++bin) {
    const RoiTap *rows = region.rows + bin_row * region.down.samples,
                 *columns = region.columns + bin * region.across.samples;
    float most = region.down.samples > 0 && region.across.samples > 0 ? -__builtin_inff() : 0.0f;
    for (int32_t i = 0; i < region.down.samples; ++i) {
      const RoiTap& a = rows[i];
      const int64_t low = plane + a.low * args.width, high = plane + a.high * args.width;
      for (int32_t k = 0; k < region.across.samples; ++k) {
        const RoiTap& b = columns[k];
        most = greater(most, a.of_low * b.of_low * read_float(args.x, args.type, low + b.low));
        most = greater(most, a.of_low * b.of_high * read_float(args.x, args.type, low + b.high));
        most = greater(most, a.of_high * b.of_low * read_float(args.x, args.type, high + b.low));
        most = greater(most, a.of_high * b.of_high * read_float(args.x, args.type, high + b.high));
      }
    }
    y[bin] = most;
  }
}

}  // namespace

void roi_align(const RoiAlignArgs& args, int64_t first, int64_t last, void* scratch) {
  RoiTap *rows = static_cast<RoiTap*>(scratch), *columns = rows + args.rows();
  float* results = reinterpret_cast<float*>(columns + args.columns());
  Region region = {};
  region.rows = rows;
  region.columns = columns;
  region.sums = results + args.out_width;
  region.part = region.sums + args.width;
  region.line = region.part + args.width;
  int64_t known = -1;  // the region whose taps are written
  for (int64_t item = first; item < last; ++item) {
    const int64_t r = item / args.pieces(), channel = item % args.pieces() * kRoiChannels;
    const int64_t image =
        args.images_are_64 ? static_cast<const int64_t*>(args.images)[r] : static_cast<const int32_t*>(args.images)[r];
    const bool is_there = image >= 0 && image < args.batch;
    if (r != known) {
      float corners[4];
      load_floats(args.rois, args.rois_type, r * 4, corners, 4);
      for (float& each : corners) each = each * args.scale - (args.half_pixel ? 0.5f : 0.0f);
      region.down = roi_axis(corners[1], corners[3], args.out_height, args.ratio, args.height, args.half_pixel);
      region.across = roi_axis(corners[0], corners[2], args.out_width, args.ratio, args.width, args.half_pixel);
      write_taps(region.down, args.out_height, rows);
      write_taps(region.across, args.out_width, columns);
      region.left = args.width;
      region.right = 0;
      for (int64_t i = 0; i < args.out_width * region.across.samples; ++i) {
        if (columns[i].of_low == 0 && columns[i].of_high == 0) continue;
        if (columns[i].low < region.left) region.left = columns[i].low;
        if (columns[i].high >= region.right) region.right = columns[i].high + 1;
      }
      if (region.right == 0) region.left = 0;
      known = r;
    }
    for (int64_t c = channel; c < channel + kRoiChannels && c < args.channels; ++c) {
      const int64_t plane = is_there ? (image * args.channels + c) * args.height * args.width : 0;
      for (int64_t bin_row = 0; bin_row < args.out_height; ++bin_row) {
        if (!is_there) {
          for (int64_t i = 0; i < args.out_width; ++i) results[i] = 0;
        } else if (args.is_max) {
          maxima(args, region, plane, bin_row, results);
        } else {
          averages(args, region, plane, bin_row, results);
        }
        const int64_t to = ((r * args.channels + c) * args.out_height + bin_row) * args.out_width;
        store_floats(results, args.y, args.type, to, args.out_width);
      }
    }
  }
}

}  // namespace DT_ISA

#endif
