// SPDX-License-Identifier: Apache-2.0
// y = x at other extents: on each axis one cell, or a weighted sum of cells, around the place that an element has in x.
//   inputs 0 x, 1 sizes, which the extents of y say
//   numerics places are float64, weights and sums float32; integers are rounded to nearest even and saturate
#ifndef DOVETAIL_PLUGINS_RESIZE_RESIZE_HPP
#define DOVETAIL_PLUGINS_RESIZE_RESIZE_HPP

#include <cmath>

#include "dovetail/plugin.hpp"
#include "kernels/spec/enumerations.hpp"

enum : int32_t { DOVETAIL_INTERPOLATION_MODE(DOVETAIL_ENUMERATOR, kResize) };
enum : int32_t { DOVETAIL_RESIZE_COORDINATE_TRANSFORMATION(DOVETAIL_ENUMERATOR, kResize) };
enum : int32_t { DOVETAIL_RESIZE_ROUND_MODE(DOVETAIL_ENUMERATOR, kResize) };
enum : int32_t { DOVETAIL_RESIZE_SELECTOR(DOVETAIL_ENUMERATOR, kResize) };

constexpr int64_t kResizeMostExtent = int64_t{1} << 30;  // so that cells are numbered by 32 bits, with room around them
constexpr double kResizeMostTaps = 65536;                // cells that an element is made of on one axis

struct ResizeParams {
  int32_t resize_mode = kResizeNearest, coordinate_transformation = kResizeAsymmetric,
          selector_for_single_pixel = kResizeFormula, nearest_rounding = kResizeFloor;
  double cubic_coeff = -0.75;
  int32_t exclude_outside = 0, antialias = 0, coordinates_by_scales = 0;
  double extrapolation_value = 0;
  dovetail::Floats scales, roi_start, roi_end;

  void check_fields() const {
    using dovetail::expect_field;
    expect_field("resize_mode", resize_mode, kResizeNearest, kResizeCubic);
    expect_field("coordinate_transformation", coordinate_transformation, kResizeAlignCorners, kResizeCropAndResize);
    expect_field("selector_for_single_pixel", selector_for_single_pixel, kResizeFormula, kResizeUpper);
    expect_field("nearest_rounding", nearest_rounding, kResizeHalfUp, kResizeCeil);
    if (!std::isfinite(cubic_coeff)) dovetail::fail(DT_INVALID_ARGUMENT, "field 'cubic_coeff' is %g", cubic_coeff);
    for (int i = 0; i < scales.n && coordinates_by_scales; ++i) {
      const float scale = static_cast<float>(scales[i]);
      if (!(scale > 0) || !std::isfinite(scale)) dovetail::fail(DT_INVALID_ARGUMENT, "field 'scales' has a %g", scale);
    }
    for (int i = 0; i < DT_MAX_RANK; ++i) {
      if (std::isfinite(roi_start[i]) && std::isfinite(roi_end[i])) continue;
      dovetail::fail(DT_INVALID_ARGUMENT, "the region ends at %g and %g", roi_start[i], roi_end[i]);
    }
  }
  void check_shapes(const dovetail::Shapes& inputs, const dovetail::Shapes& outputs) const {
    const dovetail::Shape x = inputs.get(0, "x"), y = outputs.get(0, "y");
    const int rank = x.rank();
    if (y.rank() != rank) dovetail::fail(DT_SHAPE, "y has %d axes, x has %d", y.rank(), rank);
    if (coordinates_by_scales && scales.n != rank) {
      dovetail::fail(DT_SHAPE, "%d scales for %d axes", static_cast<int>(scales.n), rank);
    }
    if (coordinate_transformation == kResizeCropAndResize && (roi_start.n != rank || roi_end.n != rank)) {
      dovetail::fail(DT_SHAPE, "a region of %d and %d values for %d axes", static_cast<int>(roi_start.n),
                     static_cast<int>(roi_end.n), rank);
    }
    for (int i = 0; i < rank; ++i) {
      const int64_t in = x.dims()[i], out = y.dims()[i];
      if (in > kResizeMostExtent || out > kResizeMostExtent || (in == 0 && out > 0)) {
        dovetail::fail(DT_SHAPE, "axis %d cannot become %lld elements of %lld", i, static_cast<long long>(out),
                       static_cast<long long>(in));
      }
      if (in > 0 && out > 0 && taps(i, in, out) > kResizeMostTaps) {
        dovetail::fail(DT_UNSUPPORTED, "an element of axis %d is made of more than 65536 cells", i);
      }
    }
  }

  int radius() const { return resize_mode; }  // of the kernel, in cells
  double scale(int axis, int64_t in, int64_t out) const {
    return coordinates_by_scales ? static_cast<double>(static_cast<float>(scales[axis]))
                                 : static_cast<double>(out) / static_cast<double>(in);
  }
  // What the kernel is widened by, 1 or less.
  double narrow(int axis, int64_t in, int64_t out) const {
    const double s = antialias ? scale(axis, in, out) : 1.0;
    return s < 1.0 ? s : 1.0;
  }
  // Cells that an element is made of; a whole number.
  double taps(int axis, int64_t in, int64_t out) const {
    if (resize_mode == kResizeNearest) return 1;
    return -2.0 * std::floor(-radius() / narrow(axis, in, out));
  }
};
DOVETAIL_READS(ResizeParams, resize_mode, coordinate_transformation, selector_for_single_pixel, nearest_rounding,
               cubic_coeff, exclude_outside, antialias, coordinates_by_scales, extrapolation_value, scales, roi_start,
               roi_end)

#endif
