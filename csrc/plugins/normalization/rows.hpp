// SPDX-License-Identifier: Apache-2.0
// What the rows of Normalization have in common on all devices.
#ifndef DOVETAIL_PLUGINS_NORMALIZATION_ROWS_HPP
#define DOVETAIL_PLUGINS_NORMALIZATION_ROWS_HPP

#include "cpu_kernels.hpp"
#include "kernels/layout/format.hpp"
#include "normalization.hpp"

// Scale and bias are float32 or of the type of x.
#define DT_PARAMETER "f32|f16|bf16|f32|f32"
#define DT_X "f32|f16|bf16|f16|bf16"
constexpr char kNormalizationTypes[] = DT_X " " DT_PARAMETER " " DT_PARAMETER " -> " DT_X;
#undef DT_PARAMETER
#undef DT_X

// Channels become groups and channels of a group; the latter are reduced.
inline NormalizationArgs normalization_args(const NormalizationParams& params, const dovetail::Run& run) {
  const dovetail::Tensor x = run.input(kX), scale = run.input(kScale), y = run.output(0);
  const int rank = x.rank();
  const bool has_groups = params.num_groups > 1;
  int64_t dims[kReductionRank], steps[kReductionRank], step = 1;
  uint64_t mask = 0;
  for (int i = rank - 1; i >= 0; --i) {
    const int to = i + (has_groups && i > 0);
    const int64_t extent = scale.extent(i);
    const bool is_reduced = dovetail::has_axis(params.axes, i);
    if (has_groups && i == 1) {
      dims[2] = x.extent(1) / params.num_groups;
      dims[1] = params.num_groups;
      const bool is_of_groups = extent == params.num_groups, is_of_channels = extent == x.extent(1);
      steps[2] = is_of_channels && extent != 1 ? step : 0;
      steps[1] = extent == 1 ? 0 : is_of_channels ? step * dims[2] : is_of_groups ? step : 0;
      mask |= 4;
    } else {
      dims[to] = x.extent(i);
      steps[to] = extent == 1 ? 0 : step;
      mask |= uint64_t{is_reduced} << to;
    }
    step *= extent;
  }
  NormalizationArgs args = {};
  args.x = x.data<void>();
  args.y = y.data<void>();
  args.type = static_cast<int32_t>(x.type());
  args.over = DT_ISA::reduction_of(dims, rank + has_groups, mask, steps);
  args.epsilon = static_cast<float>(params.epsilon);
  args.is_centered = params.centered != 0;
  return args;
}

#endif
