// SPDX-License-Identifier: Apache-2.0
// Elementary functions of one float without branches or calls, so that a plain loop over them becomes vector code.
// Errors are a few units in the last place; NaN gives NaN, the limits at infinity are exact.
#ifndef DOVETAIL_KERNELS_SIMD_MATH_HPP
#define DOVETAIL_KERNELS_SIMD_MATH_HPP

#include "dovetail/detail/host_device.hpp"
#include "kernels/simd/vec.hpp"

namespace DT_ISA {

DOVETAIL_HOST_DEVICE static inline float clamp_nan(float v, float low,
                                                   float high) {  // NaN passes: both comparisons are false
  v = v < low ? low : v;
  return v > high ? high : v;
}

// e^v = 2^n * (1 + q): n integral, q = e^r - 1 with |r| <= ln(2)/2.
struct ExpParts {
  float q, scale_a, scale_b;  // 2^n as a product, because n reaches from -150 to 128
};

static inline ExpParts exp_parts(float v) {
  const float magic = 12582912.0f;  // 1.5 * 2^23: the sum's last bit is 1, so it holds the rounded integer
  v = clamp_nan(v, -104.0f, 89.0f);
  const float t = v * 0x1.715476p+0f + magic;  // 1/ln 2
  const uint32_t n = bits_of(t) - 0x4b400000u;
  const float nf = t - magic;
  const float r = (v - nf * 0x1.62e4p-1f) - nf * 0x1.7f7d1cp-20f;  // ln 2 in two parts; the first product is exact
  float q = 1.0f / 5040;                                           // Taylor: the first term left out is r^8 / 8! < 6e-9
  q = q * r + 1.0f / 720;
  q = q * r + 1.0f / 120;
  q = q * r + 1.0f / 24;
  q = q * r + 1.0f / 6;
  q = q * r + 0.5f;
  q = q * r * r + r;
  const uint32_t half = static_cast<uint32_t>(static_cast<int32_t>(n) >> 1);
  return {q, float_of((half + 127u) << 23), float_of((n - half + 127u) << 23)};
}

static inline float exp_f(float v) {
  const ExpParts e = exp_parts(v);
  return (e.q + 1.0f) * e.scale_a * e.scale_b;
}

// e^v - 1 without cancellation near 0.
static inline float expm1_f(float v) {
  const ExpParts e = exp_parts(v);
  const float scale = e.scale_a * e.scale_b;
  const float sum = e.q * scale + (scale - 1.0f);
  return v > 88.0f ? exp_f(v) : sum;
}

static inline float sigmoid_f(float v) { return 1.0f / (1.0f + exp_f(-v)); }

static inline float tanh_f(float v) {
  const float e = expm1_f(2.0f * clamp_nan(v, -10.0f, 10.0f));  // beyond, tanh is 1 to the last bit
  return e / (e + 2.0f);
}

// ln(1 + u) for u in [0, 1]: 2 atanh(s), s = u / (2 + u) <= 1/3.
static inline float log1p_unit_f(float u) {
  const float s = u / (2.0f + u);
  const float s2 = s * s;
  float p = 1.0f / 17;
  p = p * s2 + 1.0f / 15;
  p = p * s2 + 1.0f / 13;
  p = p * s2 + 1.0f / 11;
  p = p * s2 + 1.0f / 9;
  p = p * s2 + 1.0f / 7;
  p = p * s2 + 1.0f / 5;
  p = p * s2 + 1.0f / 3;
  return 2.0f * (s + s * s2 * p);
}

// ln(1 + e^v)
static inline float softplus_f(float v) {
  const float positive = v > 0.0f ? v : 0.0f;
  const float magnitude = v < 0.0f ? v : -v;  // -|v|, NaN stays
  return positive + log1p_unit_f(exp_f(magnitude));
}

// To the nearest integer, ties to even, for |v| < 2^22.
DOVETAIL_HOST_DEVICE static inline float round_even_f(float v) {
  const float magic = 12582912.0f;
  const float t = v + magic;
  return t - magic;
}

}  // namespace DT_ISA

#endif
