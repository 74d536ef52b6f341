// SPDX-License-Identifier: Apache-2.0
// Elementary functions of one float without branches or calls, so that a plain loop over them becomes vector code.
// Errors are a few units in the last place; NaN gives NaN, the limits at infinity are exact. Everything is in
// `namespace DT_ISA`: the same inline function compiled for two instruction sets must be two functions.
#ifndef DOVETAIL_TILE_MATH_HPP
#define DOVETAIL_TILE_MATH_HPP

#include <stdint.h>
#include <string.h>

#include "dovetail/detail/host_device.hpp"

#ifndef DT_ISA  // set by the build for files of one instruction set; others are built for the baseline
#define DT_ISA baseline
#endif

namespace DT_ISA {

static inline uint32_t bits_of(float v) {
  uint32_t u;
  memcpy(&u, &v, 4);
  return u;
}
static inline float float_of(uint32_t u) {
  float v;
  memcpy(&v, &u, 4);
  return v;
}

// float16 and bfloat16 to and from float32. Rounding is to nearest, ties to even; NaN stays NaN; values too large for
// float16 become infinity.
static inline float half_to_float(uint16_t h) {
  const uint32_t sign = static_cast<uint32_t>(h & 0x8000u) << 16;
  const uint32_t magnitude = h & 0x7fffu;
  const uint32_t normal = (magnitude << 13) + (112u << 23);  // exponent bias 15 -> 127
  const uint32_t special = 0x7f800000u | (magnitude << 13);
  const uint32_t tiny = bits_of(static_cast<float>(magnitude) * 0x1p-24f);
  const uint32_t value = magnitude >= 0x7c00u ? special : magnitude >= 0x0400u ? normal : tiny;
  return float_of(sign | value);
}

static inline uint16_t float_to_half(float v) {
  const uint32_t u = bits_of(v);
  const uint32_t sign = (u >> 16) & 0x8000u;
  const uint32_t a = u & 0x7fffffffu;
  const uint32_t normal = (a + 0xfffu + ((a >> 13) & 1u) - (112u << 23)) >> 13;
  // Adding 0.5 puts the last bit of a float at 2^-24, the unit of float16's denormals: the addition does the rounding.
  const uint32_t tiny = bits_of(float_of(a) + 0.5f) - 0x3f000000u;
  const uint32_t nan = 0x7e00u | ((a >> 13) & 0x1ffu);
  const uint32_t value = a > 0x7f800000u    ? nan
                         : a >= 0x477ff000u ? 0x7c00u  // 65520 and more round to infinity
                         : a >= 0x38800000u ? normal
                                            : tiny;
  return static_cast<uint16_t>(sign | value);
}

static inline float bf16_to_float(uint16_t h) { return float_of(static_cast<uint32_t>(h) << 16); }

static inline uint16_t float_to_bf16(float v) {
  const uint32_t u = bits_of(v);
  const uint32_t rounded = (u + 0x7fffu + ((u >> 16) & 1u)) >> 16;
  return static_cast<uint16_t>((u & 0x7fffffffu) > 0x7f800000u ? (u >> 16) | 0x40u : rounded);
}

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

// What floor(a / b) leaves, with the sign of b.
static inline float floor_mod_f(float a, float b) {
  const float rest = __builtin_fmodf(a, b);
  if (rest == 0) return __builtin_copysignf(rest, b);
  return (rest < 0) != (b < 0) ? rest + b : rest;
}

}  // namespace DT_ISA

#endif
