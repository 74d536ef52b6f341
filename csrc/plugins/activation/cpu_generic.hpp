// SPDX-License-Identifier: Apache-2.0
// The algorithm of Activation, compiled once per instruction set. One loop a function, so that each becomes vector
// code.
#ifndef DOVETAIL_PLUGINS_ACTIVATION_CPU_GENERIC_HPP
#define DOVETAIL_PLUGINS_ACTIVATION_CPU_GENERIC_HPP

#include "cpu_kernels.hpp"
#include "dovetail/simd/convert.hpp"
#include "dovetail/simd/math.hpp"

namespace DT_ISA {
namespace {

constexpr int64_t kChunk = 512;

template <class F>
void each(const float* x, float* y, int64_t n, F f) {
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) y[i] = f(x[i]);
}

void apply(const float* x, float* y, int64_t n, const ActivationArgs& args) {
  const float alpha = args.alpha, beta = args.beta;
  switch (args.kind) {
    case kRelu:  // 0 < v is false for NaN as well: take the branch that keeps it
      return each(x, y, n, [](float v) { return v < 0.0f ? 0.0f : v; });
    case kSigmoid:
      return each(x, y, n, [](float v) { return sigmoid_f(v); });
    case kTanh:
      return each(x, y, n, [](float v) { return tanh_f(v); });
    case kLeakyRelu:
      return each(x, y, n, [=](float v) { return v >= 0.0f ? v : alpha * v; });
    case kElu:
      return each(x, y, n, [=](float v) { return v >= 0.0f ? v : alpha * expm1_f(v); });
    case kSelu:
      return each(x, y, n, [=](float v) { return beta * (v > 0.0f ? v : alpha * expm1_f(v)); });
    case kSoftsign:
      return each(x, y, n, [](float v) { return v / (1.0f + __builtin_fabsf(v)); });
    case kSoftplus:
      return each(x, y, n, [=](float v) { return alpha * softplus_f(beta * v); });
    case kClip:
      return each(x, y, n, [=](float v) {
        v = v > beta ? beta : v;
        return v < alpha ? alpha : v;
      });
    case kHardSigmoid:
      return each(x, y, n, [=](float v) { return clamp_nan(alpha * v + beta, 0.0f, 1.0f); });
    case kScaledTanh:
      return each(x, y, n, [=](float v) { return alpha * tanh_f(beta * v); });
    default:  // kThresholdedRelu; NaN stays
      return each(x, y, n, [=](float v) { return v <= alpha ? 0.0f : v; });
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
