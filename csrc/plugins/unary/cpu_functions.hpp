// SPDX-License-Identifier: Apache-2.0
// The functions of Unary on the CPU, without branches or calls. They are computed in float64 to about 1e-10 and rounded
// once, so that no formula needs a second form where it would lose digits of float32.
#ifndef DOVETAIL_PLUGINS_UNARY_CPU_FUNCTIONS_HPP
#define DOVETAIL_PLUGINS_UNARY_CPU_FUNCTIONS_HPP

#include "kernels/simd/float64.hpp"

namespace DT_ISA {
namespace {

inline float exp_u(float v) { return static_cast<float>(exp_d(clamp_exponent(static_cast<double>(v)))); }
inline float log_u(float v) { return static_cast<float>(log_d(static_cast<double>(v))); }
inline float sqrt_u(float v) { return __builtin_sqrtf(v); }
inline float abs_u(float v) { return __builtin_fabsf(v); }
inline float sin_u(float v) { return static_cast<float>(sine_of(turned(static_cast<double>(v)))); }
inline float cos_u(float v) { return static_cast<float>(cosine_of(turned(static_cast<double>(v)))); }
inline float tan_u(float v) {
  const Turned t = turned(static_cast<double>(v));
  const double up = t.n & 1 ? -t.cosine : t.sine, down = t.n & 1 ? t.sine : t.cosine;
  return static_cast<float>(up / down);
}
inline float sinh_u(float v) {
  const double x = static_cast<double>(v), x2 = x * x;
  double near = 1.0 / 362880;  // x^10 / 11! < 3e-11 at 1/2 is left out
  near = near * x2 + 1.0 / 5040;
  near = near * x2 + 1.0 / 120;
  near = near * x2 + 1.0 / 6;
  near = near * x2 * x + x;
  const double e = exp_d(clamp_exponent(x));
  return static_cast<float>(abs_d(x) < 0.5 ? near : 0.5 * (e - 1 / e));
}
inline float cosh_u(float v) {
  const double e = exp_d(clamp_exponent(static_cast<double>(v)));
  return static_cast<float>(0.5 * (e + 1 / e));
}
inline float asin_u(float v) {
  const double x = static_cast<double>(v);
  return static_cast<float>(atan_d(x / __builtin_sqrt((1 - x) * (1 + x))));
}
inline float acos_u(float v) {
  const double x = static_cast<double>(v);
  return static_cast<float>(2 * atan_d(__builtin_sqrt((1 - x) / (1 + x))));
}
inline float atan_u(float v) { return static_cast<float>(atan_d(static_cast<double>(v))); }
inline float asinh_u(float v) {
  const double x = static_cast<double>(v), a = abs_d(x);
  const double far = log_d(a + __builtin_sqrt(a * a + 1));
  return static_cast<float>(a < 1e-4 ? x - x * x * x * (1.0 / 6) : with_sign_of(far, x));
}
inline float acosh_u(float v) {
  const double less = static_cast<double>(v) - 1;
  return static_cast<float>(log_d(1 + (less + __builtin_sqrt(less) * __builtin_sqrt(less + 2))));
}
inline float atanh_u(float v) {
  const double x = static_cast<double>(v);
  const double far = 0.5 * log_d((1 + x) / (1 - x));
  return static_cast<float>(abs_d(x) < 1e-4 ? x + x * x * x * (1.0 / 3) : far);
}
inline float ceil_u(float v) { return __builtin_ceilf(v); }
inline float floor_u(float v) { return __builtin_floorf(v); }
inline float round_u(float v) { return __builtin_rintf(v); }

// erf v / v is smooth in v^2: interpolated at 19 Chebyshev nodes for |v| <= 4, to 4e-10; beyond, erf is 1 in float32.
constexpr double kErfTerms[] = {3.53530995643e-01, -1.76576235800e-01, 1.31675117776e-01, -1.07710292886e-01,
                                9.02089413428e-02, -7.47304867971e-02, 5.98878295830e-02, -4.57443126750e-02,
                                3.30532916961e-02, -2.25625582931e-02, 1.43810387444e-02, -8.38404427609e-03,
                                4.77494622057e-03, -2.90971295597e-03, 1.41015289324e-03, -3.25519627280e-04,
                                1.73229503449e-04, -2.46422014530e-04, 9.40381657864e-05};
inline float erf_u(float v) {
  double x = static_cast<double>(v);
  x = x < -4 ? -4 : x;
  x = x > 4 ? 4 : x;
  const double u = x * x * 0.125 - 1;
  double p = kErfTerms[18];
#pragma GCC unroll 18
  for (int i = 17; i >= 0; --i) p = p * u + kErfTerms[i];
  return static_cast<float>(p * x);
}

}  // namespace
}  // namespace DT_ISA

#endif
