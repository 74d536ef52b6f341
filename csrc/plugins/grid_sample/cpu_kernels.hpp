// SPDX-License-Identifier: Apache-2.0
// What the rows hand to the kernels of GridSample.
#ifndef DOVETAIL_PLUGINS_GRID_SAMPLE_CPU_KERNELS_HPP
#define DOVETAIL_PLUGINS_GRID_SAMPLE_CPU_KERNELS_HPP

#include "dovetail/detail/isa.hpp"
#include "places.hpp"

constexpr int64_t kGridColumns = 64;  // places of one unit

// x is [batch, channels, size...], y [batch, channels, places].
struct GridSampleArgs {
  const void *x, *grid;
  void* y;
  int32_t type, grid_type;
  int64_t element_bytes;
  int64_t channels, places;
  int32_t n_spatial, size[3];  // outermost first
  GridRule rule;

  int64_t units_of_image() const { return (places + kGridColumns - 1) / kGridColumns; }
};

// Units [first, last): kGridColumns places of one image, in all channels.
DOVETAIL_KERNELS(void grid_sample(const GridSampleArgs& args, int64_t first, int64_t last);)

#endif
