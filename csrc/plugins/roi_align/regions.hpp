// SPDX-License-Identifier: Apache-2.0
// Where the samples of a region lie along one axis.
#ifndef DOVETAIL_PLUGINS_ROI_ALIGN_REGIONS_HPP
#define DOVETAIL_PLUGINS_ROI_ALIGN_REGIONS_HPP

#include <stdint.h>

#include "dovetail/detail/host_device.hpp"
#include "kernels/simd/vec.hpp"

// The cells on both sides of a sample. Both weights are 0 if it is outside of x.
struct RoiTap {
  int32_t low, high;
  float of_low, of_high;
};

struct RoiAxis {
  float start, step;  // of bins
  int32_t samples;    // of a bin
  int32_t size;       // cells of x
};

namespace DT_ISA {

// start and end are those of the region in cells of x.
DOVETAIL_HOST_DEVICE static inline RoiAxis roi_axis(float start, float end, int64_t bins, int64_t ratio, int64_t size,
                                                    bool half_pixel) {
  float length = end - start;
  if (!half_pixel && !(length > 1.0f)) length = 1.0f;
  const float step = length / static_cast<float>(bins), wanted = __builtin_ceilf(step);
  int32_t n = static_cast<int32_t>(ratio);
  if (ratio == 0 && wanted > 0) {
    n = wanted < static_cast<float>(size) ? static_cast<int32_t>(wanted) : static_cast<int32_t>(size);
  }
  return {start, step, n, static_cast<int32_t>(size)};
}

DOVETAIL_HOST_DEVICE static inline RoiTap roi_tap(const RoiAxis& axis, int64_t bin, int32_t sample) {
  const float middle = (static_cast<float>(sample) + 0.5f) * axis.step / static_cast<float>(axis.samples);
  float v = axis.start + static_cast<float>(bin) * axis.step + middle;
  if (!(v >= -1.0f && v <= static_cast<float>(axis.size))) return {0, 0, 0.0f, 0.0f};
  v = v > 0.0f ? v : 0.0f;
  int32_t low = static_cast<int32_t>(v);
  if (low >= axis.size - 1) return {axis.size - 1, axis.size - 1, 1.0f, 0.0f};
  const float rest = v - static_cast<float>(low);
  return {low, low + 1, 1.0f - rest, rest};
}

}  // namespace DT_ISA

#endif
