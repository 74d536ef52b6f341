// SPDX-License-Identifier: Apache-2.0
// What the rows of Scale have in common on all devices.
#ifndef DOVETAIL_PLUGINS_SCALE_ROWS_HPP
#define DOVETAIL_PLUGINS_SCALE_ROWS_HPP

#include "kernels/pointwise/per_channel.hpp"
#include "scale.hpp"

enum { kX, kScale, kShift, kPower };

// Parameters are float32 or of the type of x.
#define DT_SCALE_PARAMETER "f32|f16|bf16|f32|f32"
#define DT_SCALE_X "f32|f16|bf16|f16|bf16"
constexpr char kScaleTypes[] =
    DT_SCALE_X " " DT_SCALE_PARAMETER " " DT_SCALE_PARAMETER " " DT_SCALE_PARAMETER " -> " DT_SCALE_X;
#undef DT_SCALE_PARAMETER
#undef DT_SCALE_X

inline dovetail::ParameterLayout layout_of(const ScaleParams& params, int32_t format, const int64_t* dims, int rank) {
  if (params.mode == kScaleUniform) return dovetail::one_parameter(format, dims, rank);
  const int axis = dovetail::checked_axis(params.channel_axis, rank);
  if (params.mode == kScaleChannel) return dovetail::parameter_per_channel(format, dims, rank, axis);
  return dovetail::parameter_per_element(format, dims, rank, axis);
}

inline dovetail::ParameterLayout layout_of(const ScaleParams& params, const dovetail::Desc& x) {
  return layout_of(params, static_cast<int32_t>(x.format()), x.max(), x.rank());
}

inline const char* fits_scale(const ScaleParams& params, const dovetail::Descs& inputs, const dovetail::Descs&) {
  layout_of(params, inputs[kX]);  // throws the reason
  return nullptr;
}

#endif
