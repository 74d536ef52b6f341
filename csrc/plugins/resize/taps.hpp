// SPDX-License-Identifier: Apache-2.0
// Which cells of an axis an element is made of, and with which weights.
#ifndef DOVETAIL_PLUGINS_RESIZE_TAPS_HPP
#define DOVETAIL_PLUGINS_RESIZE_TAPS_HPP

#include <math.h>

#include "dovetail/detail/host_device.hpp"
#include "resize.hpp"

constexpr double kResizeHalf = 0.5 + 1e-6;  // places so close to the middle are there, as in ONNX Runtime

// Element i is at (i + shift) * numerator / denominator + offset - back.
struct ResizeAxis {
  double shift, numerator, denominator, back, offset;
  double narrow, cubic;
  int64_t in, out;
  int32_t mode, rounding, taps;
  int32_t excludes, normalizes, is_cropped;
};

inline ResizeAxis resize_axis(const ResizeParams& p, int axis, int64_t in, int64_t out) {
  const double s = p.scale(axis, in, out), size = static_cast<double>(in), extent = static_cast<double>(out);
  const bool is_single = p.resize_mode == kResizeNearest;  // places in float32, each step rounded
  ResizeAxis a = {};
  a.numerator = p.coordinates_by_scales || is_single ? 1.0 : size;
  a.denominator = p.coordinates_by_scales ? s : is_single ? static_cast<float>(s) : extent;
  a.narrow = p.narrow(axis, in, out);
  a.cubic = p.cubic_coeff;
  a.in = in;
  a.out = out;
  a.mode = p.resize_mode;
  a.rounding = p.nearest_rounding;
  a.taps = static_cast<int32_t>(p.taps(axis, in, out));
  a.excludes = p.exclude_outside != 0;
  a.normalizes = a.excludes || a.narrow < 1;
  const auto stays_at = [&a](double v) {
    a.numerator = 0;
    a.denominator = 1;
    a.offset = v;
  };
  if (p.selector_for_single_pixel == kResizeUpper && out == 1) {
    stays_at(0);
    return a;
  }
  switch (p.coordinate_transformation) {
    case kResizeAlignCorners:
      a.numerator = size - 1;
      a.denominator = extent - 1;
      if (out == 1) stays_at(0);
      return a;
    case kResizeAsymmetric:
      return a;
    case kResizeHalfPixelForNn:
      a.shift = 0.5;
      return a;
    case kResizeCropAndResize: {
      const double start = p.roi_start[axis], end = p.roi_end[axis];
      double first = start * (size - 1), length = (end - start) * (size - 1), middle = length / 2 + first;
      if (is_single) {
        const float last = static_cast<float>(in - 1), from = static_cast<float>(start), to = static_cast<float>(end);
        const float left = from * last, across = (to - from) * last, half = across * 0.5f;
        first = left;
        length = across;
        middle = half + left;
      }
      a.numerator = length;
      a.denominator = extent - 1;
      a.offset = first;
      a.is_cropped = 1;
      if (out == 1) stays_at(middle);
      return a;
    }
    default:
      a.shift = 0.5;
      a.back = 0.5;
      if (p.coordinate_transformation == kResizeHalfPixelSymmetric && (p.coordinates_by_scales || is_single)) {
        const float covered = static_cast<float>(s) * static_cast<float>(in);
        const float beyond = 1.0f - static_cast<float>(out) / covered;
        a.offset = is_single ? static_cast<float>(in) * 0.5f * beyond : size * 0.5 * (1 - extent / (s * size));
      }
      if (p.coordinate_transformation == kResizePytorchHalfPixel && out == 1) {
        stays_at(0);
        a.back = 0;
      }
      return a;
  }
}

DOVETAIL_HOST_DEVICE inline double place_of(const ResizeAxis& a, int64_t i) {
  if (a.mode != kResizeNearest) {
    return (static_cast<double>(i) + a.shift) * a.numerator / a.denominator + a.offset - a.back;
  }
  // In float32 and in this order, as ONNX Runtime has it. No product is followed by a sum, so none is contracted.
  const float at = (static_cast<float>(i) + static_cast<float>(a.shift)) * static_cast<float>(a.numerator);
  const float v = at / static_cast<float>(a.denominator);
  return v + static_cast<float>(a.offset) - static_cast<float>(a.back);
}

DOVETAIL_HOST_DEVICE inline bool is_beyond(const ResizeAxis& a, int64_t i) {
  const double v = place_of(a, i);
  return a.is_cropped && !(v >= 0 && v <= static_cast<double>(a.in - 1));
}

DOVETAIL_HOST_DEVICE inline int32_t cell_within(double v, int64_t n) {
  const double last = static_cast<double>(n - 1);
  return static_cast<int32_t>(v > 0 ? (v < last ? v : last) : 0.0);  // 0 for a nan
}

DOVETAIL_HOST_DEVICE inline double weight_at(const ResizeAxis& a, double distance) {
  const double d = fabs(distance) * a.narrow;
  if (a.mode == kResizeLinear) return d < 1 ? 1 - d : 0;
  if (d <= 1) return ((a.cubic + 2) * d - (a.cubic + 3)) * d * d + 1;
  return d < 2 ? a.cubic * (((d - 5) * d + 8) * d - 4) : 0;
}

// Cells and weights of element i, `stride` apart. Cells are within the axis whatever the fields are.
DOVETAIL_HOST_DEVICE inline void taps_of(const ResizeAxis& a, int64_t i, int32_t* cells, float* weights,
                                         int64_t stride) {
  const double v = place_of(a, i);
  if (a.mode == kResizeNearest) {
    const double rounded = a.rounding == kResizeHalfUp     ? floor(v + kResizeHalf)
                           : a.rounding == kResizeHalfDown ? ceil(v - kResizeHalf)
                           : a.rounding == kResizeFloor    ? floor(v)
                                                           : ceil(v);
    cells[0] = cell_within(rounded, a.in);
    return;
  }
  const double first = ceil(v) - static_cast<double>(a.taps / 2), last = static_cast<double>(a.in - 1);
  double total = 0;
  for (int32_t k = 0; k < a.taps; ++k) {
    const double cell = first + k;
    const double weight = a.excludes && !(cell >= 0 && cell <= last) ? 0 : weight_at(a, cell - v);
    cells[k * stride] = cell_within(cell, a.in);
    weights[k * stride] = static_cast<float>(weight);
    total += weight;
  }
  if (!a.normalizes || total == 0) return;
  for (int32_t k = 0; k < a.taps; ++k) {
    const double cell = first + k;
    const double weight = a.excludes && !(cell >= 0 && cell <= last) ? 0 : weight_at(a, cell - v);
    weights[k * stride] = static_cast<float>(weight / total);
  }
}

#endif
