// SPDX-License-Identifier: Apache-2.0
// RoiAlign@1#cuda: a thread for each bin of each channel.
#include "dovetail/cuda.hpp"
#include "rows.hpp"

using namespace dovetail;

namespace {

struct Job {
  RoiAlignArgs args;
  int64_t total;
  Divider by_width, by_height, by_channels;
};

__device__ float read_number(const void* x, int32_t type, int64_t i) {
  if (type == DT_TYPE_FLOAT) return static_cast<const float*>(x)[i];
  if (type == DT_TYPE_HALF) return to_float(static_cast<const __half*>(x)[i]);
  return to_float(static_cast<const __nv_bfloat16*>(x)[i]);
}

__device__ float greater(float a, float b) { return a > b || a != a ? a : b; }

__global__ void __launch_bounds__(kBlock) roi_align(const __grid_constant__ Job job) {
  const RoiAlignArgs& args = job.args;
  for (int64_t at = first_item(); at < job.total; at += item_stride()) {
    int64_t column, row, channel;
    const int64_t r = job.by_channels.split(job.by_height.split(job.by_width.split(at, &column), &row), &channel);
    const int64_t image =
        args.images_are_64 ? static_cast<const int64_t*>(args.images)[r] : static_cast<const int32_t*>(args.images)[r];
    float result = 0.0f;
    if (image >= 0 && image < args.batch) {
      float corners[4];
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        corners[i] = read_number(args.rois, args.rois_type, r * 4 + i) * args.scale - (args.half_pixel ? 0.5f : 0.0f);
      }
      const bool half = args.half_pixel != 0;
      const RoiAxis down = DT_ISA::roi_axis(corners[1], corners[3], args.out_height, args.ratio, args.height, half);
      const RoiAxis across = DT_ISA::roi_axis(corners[0], corners[2], args.out_width, args.ratio, args.width, half);
      const int64_t plane = (image * args.channels + channel) * args.height * args.width;
      const bool has_samples = down.samples > 0 && across.samples > 0;
      if (args.is_max && has_samples) result = -INFINITY;
      for (int32_t i = 0; i < down.samples; ++i) {
        const RoiTap a = DT_ISA::roi_tap(down, row, i);
        const int64_t low = plane + a.low * args.width, high = plane + a.high * args.width;
        for (int32_t k = 0; k < across.samples; ++k) {
          const RoiTap b = DT_ISA::roi_tap(across, column, k);
          const float shares[4] = {a.of_low * b.of_low * read_number(args.x, args.type, low + b.low),
                                   a.of_low * b.of_high * read_number(args.x, args.type, low + b.high),
                                   a.of_high * b.of_low * read_number(args.x, args.type, high + b.low),
                                   a.of_high * b.of_high * read_number(args.x, args.type, high + b.high)};
#pragma unroll
          for (int s = 0; s < 4; ++s) result = args.is_max ? greater(result, shares[s]) : result + shares[s];
        }
      }
      if (!args.is_max && has_samples) {
        result /= static_cast<float>(down.samples) * static_cast<float>(across.samples);
      }
    }
    if (args.type == DT_TYPE_FLOAT) {
      static_cast<float*>(args.y)[at] = result;
    } else if (args.type == DT_TYPE_HALF) {
      static_cast<__half*>(args.y)[at] = float_to<__half>(result);
    } else {
      static_cast<__nv_bfloat16*>(args.y)[at] = float_to<__nv_bfloat16>(result);
    }
  }
}

void enqueue(const RoiAlignParams& params, const Run& run) {
  Job job = {};
  job.total = run.output(0).volume();
  if (job.total == 0) return;
  job.args = roi_align_args(params, run);
  job.by_width = Divider(job.args.out_width, job.total);
  job.by_height = Divider(job.args.out_height, job.total);
  job.by_channels = Divider(job.args.channels, job.total);
  launch(run, "roi_align", roi_align, blocks_for(job.total), kBlock, 0, job);
}

#define ROI_ALIGN_ROW(name, types_) \
  {.tactic = name, .needs = kBuiltSm, .types = types_, .formats = "linear", .enqueue = enqueue, .traits = kCaptureSafe},

// clang-format off
constexpr Row<RoiAlignParams> kRows[] = {
    ROI_ALIGN_ROW("linear", kRoiTypes64)
    ROI_ALIGN_ROW("images32", kRoiTypes32)
    ROI_ALIGN_ROW("halves", kRoiTypesOfHalves64)
    ROI_ALIGN_ROW("halves_images32", kRoiTypesOfHalves32)
};
// clang-format on

}  // namespace

DOVETAIL_IMPLEMENTS("RoiAlign@1#cuda", RoiAlignParams, kRows)
