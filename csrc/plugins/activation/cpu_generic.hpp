// SPDX-License-Identifier: Apache-2.0
// The algorithm of Activation, compiled once per instruction set. One loop a function, so that each
// becomes vector code.
#ifndef DOVETAIL_PLUGINS_ACTIVATION_CPU_GENERIC_HPP
#define DOVETAIL_PLUGINS_ACTIVATION_CPU_GENERIC_HPP

#include "cpu_kernels.hpp"
#include "kernels/simd/convert.hpp"
#include "kernels/simd/math.hpp"

namespace DT_ISA {
namespace {

constexpr int64_t kChunk = 512;

float abs_f(float v) { return __builtin_fabsf(v); }

template <class F>
void each(const float* x, float* y, int64_t n, F f) {
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) y[i] = f(x[i]);
}

void apply(const float* x, float* y, int64_t n, const ActivationArgs& args) {
  [[maybe_unused]] const float alpha = args.alpha, beta = args.beta;
  switch (args.kind) {
#define ACTIVATION_CASE(kind, expression) \
  case kind:                              \
    return each(x, y, n, [=](float v) { return expression; });
    DOVETAIL_ACTIVATIONS(ACTIVATION_CASE)
#undef ACTIVATION_CASE
  }
}

}  // namespace

void activation(const ActivationArgs& args, int64_t first, int64_t last) {
  if (args.type == kF32) {
    return apply(static_cast<const float*>(args.x) + first, static_cast<float*>(args.y) + first, last - first, args);
  }
  float chunk[kChunk];
  for (int64_t n; first < last; first += n) {
    n = last - first < kChunk ? last - first : kChunk;
    load_floats(args.x, args.type, first, chunk, n);
    apply(chunk, chunk, n, args);
    store_floats(chunk, args.y, args.type, first, n);
  }
}

}  // namespace DT_ISA

#endif
