// SPDX-License-Identifier: Apache-2.0
// Where the samples of a region are, and of which cells they are made.
#ifndef DOVETAIL_PLUGINS_ROI_ALIGN_PLACES_HPP
#define DOVETAIL_PLUGINS_ROI_ALIGN_PLACES_HPP

#include <stdint.h>

#include "dovetail/simd/host_device.hpp"
#include "dovetail/simd/vec.hpp"

struct RoiAlignArgs {
  const void *x, *rois, *images;
  void* y;
  int32_t type, rois_type, images_type;
  int64_t n_images, channels, n_regions;
  int32_t size[2], bins[2];  // rows, columns
  float scale;
  int32_t sampling_ratio;
  bool is_max, aligned;
};

// The samples of a region along one axis.
struct RoiAxis {
  float start, each;  // of the first bin; extent of a bin
  int32_t n, size;    // samples of a bin; cells of x
};

// Two cells and their weights.
struct RoiTap {
  int32_t front, behind;
  float in_front, in_behind;
};

namespace DT_ISA {

DOVETAIL_HOST_DEVICE static inline RoiAxis roi_axis(const RoiAlignArgs& args, int axis, float low, float high) {
  const float half = args.aligned ? 0.5f : 0.0f;
  RoiAxis found;
  found.start = low * args.scale - half;
  float length = high * args.scale - half - found.start;
  if (!args.aligned && !(length >= 1.0f)) length = 1.0f;
  found.each = length / static_cast<float>(args.bins[axis]);
  found.size = args.size[axis];
  found.n = args.sampling_ratio;
  if (found.n == 0 && found.each > 0.0f) {
    const float most = static_cast<float>(found.size), n = __builtin_ceilf(found.each);
    found.n = static_cast<int32_t>(n < most ? n : most);
  }
  return found;
}

// Weights of 0 for a sample beyond the image. Cells are within it whatever the region is.
DOVETAIL_HOST_DEVICE static inline RoiTap roi_tap(const RoiAxis& axis, int32_t bin, int32_t sample) {
  const float last = static_cast<float>(axis.size - 1);
  const float first = axis.start + static_cast<float>(bin) * axis.each;
  float v = first + (static_cast<float>(sample) + 0.5f) * axis.each / static_cast<float>(axis.n);
  const float is_inside = v >= -1.0f && v <= static_cast<float>(axis.size) ? 1.0f : 0.0f;
  v = v > 0.0f ? (v < last ? v : last) : 0.0f;
  RoiTap tap;
  tap.front = static_cast<int32_t>(v);
  tap.behind = tap.front + 1 < axis.size ? tap.front + 1 : tap.front;
  const float rest = v - static_cast<float>(tap.front);
  tap.in_front = (1.0f - rest) * is_inside;
  tap.in_behind = rest * is_inside;
  return tap;
}

DOVETAIL_HOST_DEVICE static inline float roi_more(float a, float b) { return a >= b || a != a ? a : b; }

// One sample of a plane, of which cell(i) is cell i.
template <class Cell>
DOVETAIL_HOST_DEVICE static inline float roi_sample(const RoiTap& row, const RoiTap& column, int32_t width, bool is_max,
                                                    const Cell& cell) {
  const int32_t above = row.front * width, below = row.behind * width;
  const float a = row.in_front * column.in_front * cell(above + column.front);
  const float b = row.in_front * column.in_behind * cell(above + column.behind);
  const float c = row.in_behind * column.in_front * cell(below + column.front);
  const float d = row.in_behind * column.in_behind * cell(below + column.behind);
  return is_max ? roi_more(roi_more(a, b), roi_more(c, d)) : a + b + c + d;
}

}  // namespace DT_ISA

#endif
