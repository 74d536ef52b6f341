// SPDX-License-Identifier: Apache-2.0
// Dequantize@1#cuda.
#include "kernels/pointwise/cuda_by_channel.cuh"
#include "rows.hpp"

using namespace dovetail;

namespace {

struct Multiply {
  ChannelParameter scale;

  template <int n, class T>
  __device__ void operator()(const int8_t (&x)[n], T (&y)[n], const Channels& channels,
                             const uint32_t (&channel)[n]) const {
    float s[n];
    load_parameter<n>(scale, channels, channel, s);
#pragma unroll
    for (int j = 0; j < n; ++j) y[j] = float_to<T>(static_cast<float>(x[j]) * s[j]);
  }
};

void enqueue(const DequantizeParams& params, const Run& run) {
  const Tensor x = run.input(kX), y = run.output(0);
  const ParameterLayout layout = layout_of(params, x, run.input(kScale));
  const Multiply f = {channel_parameter(run, kScale, layout, 1.0f)};
  with_float_type(y.type(), [&](auto t) {
    map_by_channel(run, "dequantize", x.data<const int8_t>(), y.data<decltype(t)>(), layout, f);
  });
}

#define DEQUANTIZE_ROW(unused, format)     \
  {.tactic = format,                       \
   .needs = kBuiltSm,                      \
   .types = kDequantizeTypes,              \
   .formats = format " linear -> " format, \
   .fits = fits_dequantize,                \
   .enqueue = enqueue,                     \
   .traits = kCaptureSafe},

constexpr Row<DequantizeParams> kRows[] = {DOVETAIL_EACH_FORMAT(DEQUANTIZE_ROW, 0)};

}  // namespace

DOVETAIL_IMPLEMENTS("Dequantize@1#cuda", DequantizeParams, kRows)
