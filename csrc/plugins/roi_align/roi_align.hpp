// SPDX-License-Identifier: Apache-2.0
// y[r, c, i, j] = average or max of samples of x[batch_indices[r], c] in bin i, j of region r.
//   inputs   x, rois (x1, y1, x2, y2), batch_indices
//   numerics float32 whatever the type
#ifndef DOVETAIL_PLUGINS_ROI_ALIGN_ROI_ALIGN_HPP
#define DOVETAIL_PLUGINS_ROI_ALIGN_ROI_ALIGN_HPP

#include "dovetail/plugin.hpp"
#include "kernels/spec/enumerations.hpp"

enum : int32_t { DOVETAIL_ROI_ALIGN_MODE(DOVETAIL_ENUMERATOR, kRoi) };

struct RoiAlignParams {
  int64_t output_height = 1, output_width = 1, sampling_ratio = 0;
  double spatial_scale = 1;
  int32_t mode = kRoiAverage, half_pixel = 1;

  void check_fields() const {
    dovetail::expect_field("output_height", output_height, 1, 65536);
    dovetail::expect_field("output_width", output_width, 1, 65536);
    dovetail::expect_field("sampling_ratio", sampling_ratio, 0, 4096);
    dovetail::expect_field("mode", mode, kRoiAverage, kRoiMax);
  }
  void check_shapes(const dovetail::Shapes& inputs, const dovetail::Shapes& outputs) const {
    const dovetail::Shape x = inputs.get(0, "x"), rois = inputs.get(1, "rois");
    if (x.rank() != 4 || rois.rank() != 2) {
      dovetail::fail(DT_SHAPE, "x has %d axes, not 4, or rois %d, not 2", x.rank(), rois.rank());
    }
    for (int axis = 2; axis < 4; ++axis) {
      if (x[axis] >= 1 && x[axis] < int64_t{1} << 30) continue;
      dovetail::fail(DT_SHAPE, "axis %d of x has %lld cells, not 1 to 2^30 - 1", axis, static_cast<long long>(x[axis]));
    }
    const int64_t n = rois[0], of_rois[2] = {n, 4}, of_y[4] = {n, x[1], output_height, output_width};
    expect_dims(rois, of_rois, 2);
    expect_dims(inputs.get(2, "batch_indices"), &n, 1);
    expect_dims(outputs.get(0, "y"), of_y, 4);
  }
};
DOVETAIL_READS(RoiAlignParams, output_height, output_width, sampling_ratio, spatial_scale, mode, half_pixel)

#endif
