// SPDX-License-Identifier: Apache-2.0
// What the rows hand to the kernels of RoiAlign.
#ifndef DOVETAIL_PLUGINS_ROI_ALIGN_CPU_KERNELS_HPP
#define DOVETAIL_PLUGINS_ROI_ALIGN_CPU_KERNELS_HPP

#include "dovetail/detail/isa.hpp"
#include "regions.hpp"

constexpr int64_t kRoiChannels = 16;  // of one item

struct RoiAlignArgs {
  const void *x, *rois, *images;
  void* y;
  int32_t type, rois_type, images_are_64;
  int32_t is_max, half_pixel;
  int64_t batch, channels, height, width;
  int64_t regions, out_height, out_width, ratio;
  float scale;

  int64_t pieces() const { return (channels + kRoiChannels - 1) / kRoiChannels; }
  // The most samples along an axis.
  int64_t rows() const { return out_height * (ratio ? ratio : height); }
  int64_t columns() const { return out_width * (ratio ? ratio : width); }
};

// Items [first, last): kRoiChannels channels of one region. Scratch holds rows() + columns() taps and
// 3 * width + out_width floats.
DOVETAIL_KERNELS(void roi_align(const RoiAlignArgs& args, int64_t first, int64_t last, void* scratch);)

#endif
