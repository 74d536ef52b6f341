// SPDX-License-Identifier: Apache-2.0
// What the rows of RoiAlign have in common on all devices.
#ifndef DOVETAIL_PLUGINS_ROI_ALIGN_ROWS_HPP
#define DOVETAIL_PLUGINS_ROI_ALIGN_ROWS_HPP

#include "cpu_kernels.hpp"
#include "kernels/layout/format.hpp"
#include "roi_align.hpp"

// Regions of the type of x, or float32; images int32 or int64.
constexpr char kRoiTypes32[] = "f32|f16|bf16 f32|f16|bf16 i32 -> f32|f16|bf16";
constexpr char kRoiTypes64[] = "f32|f16|bf16 f32|f16|bf16 i64 -> f32|f16|bf16";
constexpr char kRoiTypesOfHalves32[] = "f16|bf16 f32 i32 -> f16|bf16";
constexpr char kRoiTypesOfHalves64[] = "f16|bf16 f32 i64 -> f16|bf16";

inline RoiAlignArgs roi_align_args(const RoiAlignParams& params, const dovetail::Run& run) {
  const dovetail::Tensor x = run.input(0), rois = run.input(1), images = run.input(2);
  RoiAlignArgs args = {};
  args.x = x.data<void>();
  args.rois = rois.data<void>();
  args.images = images.data<void>();
  args.y = run.output(0).data<void>();
  args.type = static_cast<int32_t>(x.type());
  args.rois_type = static_cast<int32_t>(rois.type());
  args.images_are_64 = images.type() == dovetail::DataType::kINT64;
  args.is_max = params.mode == kRoiMax;
  args.half_pixel = params.half_pixel != 0;
  args.batch = x.extent(0);
  args.channels = x.extent(1);
  args.height = x.extent(2);
  args.width = x.extent(3);
  args.regions = rois.extent(0);
  args.out_height = params.output_height;
  args.out_width = params.output_width;
  args.ratio = params.sampling_ratio;
  args.scale = static_cast<float>(params.spatial_scale);
  return args;
}

#endif
