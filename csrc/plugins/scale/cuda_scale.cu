// SPDX-License-Identifier: Apache-2.0
// Scale@1#cuda.
#include "kernels/pointwise/cuda_by_channel.cuh"
#include "rows.hpp"

using namespace dovetail;

namespace {

struct ScaleShiftPower {
  ChannelParameter scale, shift, power;

  template <int n, class T>
  __device__ void operator()(const T (&x)[n], T (&y)[n], const Channels& channels, const uint32_t (&channel)[n]) const {
    float a[n], b[n], v[n];
    load_parameter<n>(scale, channels, channel, a);
    load_parameter<n>(shift, channels, channel, b);
#pragma unroll
    for (int j = 0; j < n; ++j) v[j] = to_float(x[j]) * a[j] + b[j];
    if (power.data) {
      load_parameter<n>(power, channels, channel, a);
#pragma unroll
      for (int j = 0; j < n; ++j) v[j] = a[j] == 1.0f ? v[j] : powf(v[j], a[j]);
    }
#pragma unroll
    for (int j = 0; j < n; ++j) y[j] = float_to<T>(v[j]);
  }
};

void enqueue(const ScaleParams& params, const Run& run) {
  const Tensor x = run.input(kX), y = run.output(0);
  const ParameterLayout layout = layout_of(params, static_cast<int32_t>(x.format()), x.dims(), x.rank());
  const ScaleShiftPower f = {channel_parameter(run, kScale, layout, 1.0f), channel_parameter(run, kShift, layout, 0.0f),
                             channel_parameter(run, kPower, layout, 1.0f)};
  with_float_type(x.type(), [&](auto t) {
    typedef decltype(t) T;
    with_ending(run,
                [&](const auto& end) { map_by_channel(run, "scale", x.data<const T>(), y.data<T>(), layout, f, end); });
  });
}

#define SCALE_ROW(unused, format)                        \
  {.tactic = format,                                     \
   .needs = kBuiltSm,                                    \
   .types = kScaleTypes,                                 \
   .formats = format " linear linear linear -> " format, \
   .fits = fits_scale,                                   \
   .enqueue = enqueue,                                   \
   .traits = kCaptureSafe | kInPlace,                    \
   .absorb = absorb_on_cuda<ScaleParams>},

constexpr Row<ScaleParams> kRows[] = {DOVETAIL_EACH_FORMAT(SCALE_ROW, 0)};

}  // namespace

DOVETAIL_IMPLEMENTS("Scale@1#cuda", ScaleParams, kRows)
