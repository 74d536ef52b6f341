// SPDX-License-Identifier: Apache-2.0
// Which cells of an axis lie around a place that the grid names, and with which weights.
#ifndef DOVETAIL_PLUGINS_GRID_SAMPLE_PLACES_HPP
#define DOVETAIL_PLUGINS_GRID_SAMPLE_PLACES_HPP

#include <stdint.h>

#include "dovetail/detail/host_device.hpp"
#include "kernels/simd/vec.hpp"
#include "kernels/spec/enumerations.hpp"

struct GridRule {
  int32_t mode, aligned, beyond;  // InterpolationMode, align_corners, SampleMode
};

enum : int32_t { DOVETAIL_INTERPOLATION_MODE(DOVETAIL_ENUMERATOR, kGrid) };
enum : int32_t { DOVETAIL_SAMPLE_MODE(DOVETAIL_ENUMERATOR, kGrid) };

namespace DT_ISA {

DOVETAIL_HOST_DEVICE static inline int32_t grid_taps(int32_t mode) {
  return mode == kGridNearest ? 1 : mode == kGridLinear ? 2 : 4;
}

// A place beyond the edges, mirrored there until it is within.
DOVETAIL_HOST_DEVICE static inline float grid_reflected(float v, int32_t size, bool aligned) {
  const float low = aligned ? 0.0f : -0.5f, length = static_cast<float>(aligned ? size - 1 : size);
  if (v >= low && v <= low + length) return v;
  if (length == 0) return 0;
  const float d = __builtin_fabsf(v - low), times = __builtin_floorf(d / length);
  const float rest = d - times * length, half = times * 0.5f;
  return (half == __builtin_floorf(half) ? rest : length - rest) + low;
}

// Cell and weight of one tap; a cell beyond the axis weighs nothing, or is another one.
DOVETAIL_HOST_DEVICE static inline void grid_cell(int32_t at, float w, int32_t size, GridRule rule, int32_t* cell,
                                                  float* weight) {
  if (rule.beyond == kGridFill) {
    if (at < 0 || at >= size) w = 0;
  } else if (rule.beyond == kGridReflect) {
    if (rule.aligned) {
      if (at < 0) at = -at;
      if (at >= size) at = 2 * (size - 1) - at;
    } else {
      if (at < 0) at = -1 - at;
      if (at >= size) at = 2 * size - 1 - at;
    }
  }
  *cell = at < 0 ? 0 : at < size ? at : size - 1;
  *weight = w;
}

// Cells and weights of a place g of [-1, 1], `stride` apart. Cells are within the axis whatever g is.
DOVETAIL_HOST_DEVICE static inline void grid_axis(float g, int32_t size, GridRule rule, int32_t* cells, float* weights,
                                                  int64_t stride) {
  const float length = static_cast<float>(size);
  float v = rule.aligned ? (g + 1.0f) / 2.0f * (length - 1.0f) : ((g + 1.0f) * length - 1.0f) / 2.0f;
  if (v != v) v = -9.0f;
  if (rule.mode == kGridNearest) v = __builtin_rintf(v);
  if (rule.beyond == kGridReflect) v = grid_reflected(v, size, rule.aligned != 0);
  v = v > -9.0f ? (v < length + 9.0f ? v : length + 9.0f) : -9.0f;
  const float low = __builtin_floorf(v), r = v - low, b = 1.0f - r;
  const int32_t at = static_cast<int32_t>(low);
  if (rule.mode == kGridNearest) {
    grid_cell(at, 1.0f, size, rule, cells, weights);
  } else if (rule.mode == kGridLinear) {
    grid_cell(at, b, size, rule, cells, weights);
    grid_cell(at + 1, r, size, rule, cells + stride, weights + stride);
  } else {
    const float a = -0.75f, c = r + 1.0f, d = b + 1.0f;
    grid_cell(at - 1, ((a * c - 5 * a) * c + 8 * a) * c - 4 * a, size, rule, cells, weights);
    grid_cell(at, ((a + 2) * r - (a + 3)) * r * r + 1, size, rule, cells + stride, weights + stride);
    grid_cell(at + 1, ((a + 2) * b - (a + 3)) * b * b + 1, size, rule, cells + 2 * stride, weights + 2 * stride);
    grid_cell(at + 2, ((a * d - 5 * a) * d + 8 * a) * d - 4 * a, size, rule, cells + 3 * stride, weights + 3 * stride);
  }
}

}  // namespace DT_ISA

#endif
