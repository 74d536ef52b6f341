// SPDX-License-Identifier: Apache-2.0
// Activation@1#cuda. The functions are CUDA's own in full precision: within 2 units in the last place.
#include "activation.hpp"
#include "formulas.hpp"
#include "kernels/pointwise/cuda_by_channel.cuh"
#include "kernels/simd/math.hpp"

using namespace dovetail;

namespace {

using DT_ISA::clamp_nan;

__device__ inline float abs_f(float v) { return fabsf(v); }
__device__ inline float tanh_f(float v) { return tanhf(v); }
__device__ inline float expm1_f(float v) { return expm1f(v); }
// Of e^-|v|, which cannot overflow.
__device__ inline float sigmoid_f(float v) {
  const float e = expf(-fabsf(v));
  return (v >= 0.0f ? 1.0f : e) / (1.0f + e);
}
__device__ inline float softplus_f(float v) { return (v > 0.0f ? v : 0.0f) + log1pf(expf(-fabsf(v))); }

struct Activate {
  int32_t kind;
  float alpha, beta;

  template <int n, class T>
  __device__ void operator()(const T (&x)[n], T (&y)[n], const Channels&, const uint32_t (&)[n]) const {
    switch (kind) {
#define ACTIVATION_CASE(kind, expression)           \
  case kind:                                        \
    _Pragma("unroll") for (int j = 0; j < n; ++j) { \
      const float v = to_float(x[j]);               \
      y[j] = float_to<T>(expression);               \
    }                                               \
    return;
      DOVETAIL_ACTIVATIONS(ACTIVATION_CASE)
#undef ACTIVATION_CASE
    }
  }
};

void enqueue(const ActivationParams& params, const Run& run) {
  const Tensor x = run.input(0), y = run.output(0);
  const ParameterLayout layout = one_parameter(static_cast<int32_t>(x.format()), x.dims(), x.rank());
  const Activate activate = {params.type, static_cast<float>(params.alpha), static_cast<float>(params.beta)};
  with_float_type(x.type(), [&](auto t) {
    typedef decltype(t) T;
    with_ending(run, [&](const auto& end) {
      map_by_channel(run, "activation", x.data<const T>(), y.data<T>(), layout, activate, end);
    });
  });
}

#define ACTIVATION_ROW(unused, format)      \
  {.tactic = format,                        \
   .needs = kBuiltSm,                       \
   .types = "f32|f16|bf16 -> f32|f16|bf16", \
   .formats = format " -> " format,         \
   .enqueue = enqueue,                      \
   .traits = kCaptureSafe | kInPlace,       \
   .absorb = absorb_on_cuda<ActivationParams>},

constexpr Row<ActivationParams> kRows[] = {DOVETAIL_EACH_FORMAT(ACTIVATION_ROW, 0)};

}  // namespace

DOVETAIL_IMPLEMENTS("Activation@1#cuda", ActivationParams, kRows)
