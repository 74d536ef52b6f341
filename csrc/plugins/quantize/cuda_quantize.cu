// SPDX-License-Identifier: Apache-2.0
// Quantize@1#cuda.
#include "kernels/conversion/quantize.hpp"
#include "kernels/pointwise/cuda_by_channel.cuh"
#include "rows.hpp"

using namespace dovetail;

namespace {

struct DivideAndRound {
  ChannelParameter scale;

  template <int n, class T>
  __device__ void operator()(const T (&x)[n], int8_t (&y)[n], const Channels& channels,
                             const uint32_t (&channel)[n]) const {
    float s[n];
    load_parameter<n>(scale, channels, channel, s);
#pragma unroll
    for (int j = 0; j < n; ++j) y[j] = DT_ISA::quantize_one(to_float(x[j]) / s[j]);
  }
};

void enqueue(const QuantizeParams& params, const Run& run) {
  const Tensor x = run.input(kX), y = run.output(0);
  const ParameterLayout layout = layout_of(params, x, run.input(kScale));
  const DivideAndRound f = {channel_parameter(run, kScale, layout, 1.0f)};
  with_float_type(x.type(), [&](auto t) {
    map_by_channel(run, "quantize", x.data<const decltype(t)>(), y.data<int8_t>(), layout, f);
  });
}

#define QUANTIZE_ROW(unused, format)       \
  {.tactic = format,                       \
   .needs = kBuiltSm,                      \
   .types = kQuantizeTypes,                \
   .formats = format " linear -> " format, \
   .fits = fits_quantize,                  \
   .enqueue = enqueue,                     \
   .traits = kCaptureSafe},

constexpr Row<QuantizeParams> kRows[] = {DOVETAIL_EACH_FORMAT(QUANTIZE_ROW, 0)};

}  // namespace

DOVETAIL_IMPLEMENTS("Quantize@1#cuda", QuantizeParams, kRows)
