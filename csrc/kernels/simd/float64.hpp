// SPDX-License-Identifier: Apache-2.0
// Elementary functions of one float64 without branches or calls, so that a plain loop over them becomes vector code. To
// about 1e-11: results are rounded to float32. For kernels on the CPU.
#ifndef DOVETAIL_KERNELS_SIMD_FLOAT64_HPP
#define DOVETAIL_KERNELS_SIMD_FLOAT64_HPP

#include "kernels/simd/vec.hpp"

namespace DT_ISA {
namespace {

constexpr double kHalfPi = 0x1.921fb54442d18p+0;
constexpr double kLn2 = 0x1.62e42fefa39efp-1;
constexpr double kInfinity = __builtin_inf();
constexpr double kRounding = 0x1.8p52;  // 1.5 * 2^52: the last bit of a sum with it is 1

inline uint64_t bits_of_double(double v) {
  uint64_t u;
  memcpy(&u, &v, 8);
  return u;
}
inline double double_of(uint64_t u) {
  double v;
  memcpy(&v, &u, 8);
  return v;
}

inline double abs_d(double v) { return double_of(bits_of_double(v) & 0x7fffffffffffffffu); }
inline double with_sign_of(double magnitude, double sign) {
  return double_of(bits_of_double(magnitude) | (bits_of_double(sign) & 0x8000000000000000u));
}

// e^v for |v| <= 700: 2^n e^r with |r| <= ln(2)/2; the first term left out of Taylor's series is r^10 / 10! < 7e-12.
inline double exp_d(double v) {
  const double t = v * (1 / kLn2) + kRounding;
  const double r = v - (t - kRounding) * kLn2;
  double p = 1.0 / 362880;
  p = p * r + 1.0 / 40320;
  p = p * r + 1.0 / 5040;
  p = p * r + 1.0 / 720;
  p = p * r + 1.0 / 120;
  p = p * r + 1.0 / 24;
  p = p * r + 1.0 / 6;
  p = p * r + 0.5;
  p = p * r + 1.0;
  p = p * r + 1.0;
  return p * double_of((bits_of_double(t) + 1023) << 52);  // the low bits of t are n, in two's complement
}

// So that exp_d may take it, and its result is past all floats at both ends. NaN stays.
inline double clamp_exponent(double v) {
  v = v < -200 ? -200 : v;
  return v > 200 ? 200 : v;
}

// ln v for v that is not a denormal of float64: 2^n m with m in [sqrt(1/2), sqrt(2)), ln m = 2 atanh s, s =
// (m-1)/(m+1). |s| < 0.172; the first term left out is s^14 / 15 of the first, < 2e-12.
inline double log_d(double v) {
  const uint64_t sqrt_half = 0x3fe6a09e667f3bcdu;
  const uint64_t n = (bits_of_double(v) - sqrt_half) >> 52;  // 12 bits, wrapped around below 0
  const double m = double_of(bits_of_double(v) - (n << 52));
  const double exponent = double_of(0x4330000000000000u | ((n + 2048) & 4095)) - (0x1p52 + 2048);
  const double s = (m - 1) / (m + 1), s2 = s * s;
  double p = 1.0 / 13;
  p = p * s2 + 1.0 / 11;
  p = p * s2 + 1.0 / 9;
  p = p * s2 + 1.0 / 7;
  p = p * s2 + 1.0 / 5;
  p = p * s2 + 1.0 / 3;
  const double result = exponent * kLn2 + 2 * (s + s * s2 * p);
  const double special = v == 0 ? -kInfinity : v > 0 ? v : v - v + double_of(0x7ff8000000000000u);
  return v > 0 && v < kInfinity ? result : special;
}

// atan v: |v| > 1 by way of 1/v, then beyond tan(pi/8) by way of (v-1)/(v+1); the first term left out of the series
// is z^28 / 29 of the first, |z| <= 0.4143, < 7e-13.
inline double atan_d(double v) {
  const double a = abs_d(v);
  const bool is_great = a > 1;
  const double b = is_great ? 1 / a : a;
  const bool is_middle = b > 0.41421356237309503;
  const double z = is_middle ? (b - 1) / (b + 1) : b, z2 = -z * z;
  double p = 1.0 / 27;
  p = p * z2 + 1.0 / 25;
  p = p * z2 + 1.0 / 23;
  p = p * z2 + 1.0 / 21;
  p = p * z2 + 1.0 / 19;
  p = p * z2 + 1.0 / 17;
  p = p * z2 + 1.0 / 15;
  p = p * z2 + 1.0 / 13;
  p = p * z2 + 1.0 / 11;
  p = p * z2 + 1.0 / 9;
  p = p * z2 + 1.0 / 7;
  p = p * z2 + 1.0 / 5;
  p = p * z2 + 1.0 / 3;
  p = p * z2 + 1.0;
  const double near = p * z + (is_middle ? kHalfPi / 2 : 0.0);
  return with_sign_of(is_great ? kHalfPi - near : near, v);
}

// Sine and cosine for |v| < kMostTurns: v = n pi/2 + r, with pi/2 as a number of 33 bits and the rest, so that
// n * 33 bits is exact.
constexpr float kMostTurns = 1e6f;
struct Turned {
  double sine, cosine;  // of r
  uint64_t n;
};

inline Turned turned(double v) {
  const double t = v * (1 / kHalfPi) + kRounding;
  const double n = t - kRounding;
  const double r = (v - n * 0x1.921fb544p+0) - n * 0x1.0b4611a626331p-34;
  const double r2 = r * r;
  double s = -1.0 / 39916800;
  s = s * r2 + 1.0 / 362880;
  s = s * r2 - 1.0 / 5040;
  s = s * r2 + 1.0 / 120;
  s = s * r2 - 1.0 / 6;
  double c = 1.0 / 479001600;
  c = c * r2 - 1.0 / 3628800;
  c = c * r2 + 1.0 / 40320;
  c = c * r2 - 1.0 / 720;
  c = c * r2 + 1.0 / 24;
  c = c * r2 - 0.5;
  return {s * r2 * r + r, c * r2 + 1.0, bits_of_double(t)};
}

// Of v itself.
inline double sine_of(const Turned& t) {
  const double y = t.n & 1 ? t.cosine : t.sine;
  return t.n & 2 ? -y : y;
}
inline double cosine_of(const Turned& t) {
  const double y = t.n & 1 ? t.sine : t.cosine;
  return (t.n + 1) & 2 ? -y : y;
}

}  // namespace
}  // namespace DT_ISA

#endif
