// SPDX-License-Identifier: Apache-2.0
// A vector of floats as wide as this file's instruction set, with the elementary functions of tile_math.hpp that
// epilogues need most. Everything is in `namespace DT_ISA`: the same inline function compiled for two instruction sets
// must be two functions, or the linker keeps one of them for both callers.
#ifndef DOVETAIL_TILE_VECTORS_HPP
#define DOVETAIL_TILE_VECTORS_HPP

#include <stdint.h>
#include <string.h>

#include "dovetail/tile_math.hpp"

#if defined(__AVX__)  // where it is not needed, it would be most of what there is to read
#include <immintrin.h>
#endif

namespace DT_ISA {

#if defined(__AVX512F__)
constexpr int kLanes = 16;
constexpr int kRegisters = 32;
#elif defined(__AVX2__)
constexpr int kLanes = 8;
constexpr int kRegisters = 16;
#else
constexpr int kLanes = 4;
constexpr int kRegisters = 16;
#endif

typedef float VecF __attribute__((vector_size(4 * kLanes)));
typedef float VecFUnaligned __attribute__((vector_size(4 * kLanes), aligned(4), may_alias));
typedef int32_t VecI __attribute__((vector_size(4 * kLanes)));

static inline VecF load(const float* p) { return *reinterpret_cast<const VecFUnaligned*>(p); }
static inline void store(float* p, VecF v) { *reinterpret_cast<VecFUnaligned*>(p) = v; }
static inline VecF splat(float v) { return v - VecF{}; }

// Lanes [first, first + n) of the vector that would lie at p; the others are those of `rest`. Memory outside the lanes
// is not touched, so p itself may point outside of the buffer; it comes as an integer for that reason.
static inline VecF load_lanes(uintptr_t p, int first, int n, VecF rest) {
#if defined(__AVX512F__)
  const __mmask16 mask = static_cast<__mmask16>(((1u << n) - 1u) << first);
  return static_cast<VecF>(_mm512_mask_loadu_ps(static_cast<__m512>(rest), mask, reinterpret_cast<const void*>(p)));
#elif defined(__AVX2__)
  const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  const __m256i mask = _mm256_and_si256(_mm256_cmpgt_epi32(lane, _mm256_set1_epi32(first - 1)),
                                        _mm256_cmpgt_epi32(_mm256_set1_epi32(first + n), lane));
  const __m256 v = _mm256_maskload_ps(reinterpret_cast<const float*>(p), mask);
  return static_cast<VecF>(_mm256_blendv_ps(static_cast<__m256>(rest), v, _mm256_castsi256_ps(mask)));
#else
  for (int i = 0; i < kLanes; ++i) {
    if (i < first || i >= first + n) continue;
    float value;
    memcpy(&value, reinterpret_cast<const char*>(p + 4 * static_cast<uintptr_t>(i)), 4);
    rest[i] = value;
  }
  return rest;
#endif
}

// The first n lanes of a vector.
static inline void store_lanes(float* p, int n, VecF v) {
#if defined(__AVX512F__)
  _mm512_mask_storeu_ps(p, static_cast<__mmask16>((1u << n) - 1u), static_cast<__m512>(v));
#else
  for (int i = 0; i < n; ++i) p[i] = v[i];
#endif
}

#if defined(__AVX512F__)
// With a mask of all lanes intrinsics are the same instructions; without one GCC 12 warns of their undefined source.
constexpr __mmask16 kAllLanes = 0xffff;
#endif

// The smaller and the larger of two numbers; where `v` is NaN, it stays, as in clamp_nan.
static inline VecF at_most(VecF v, VecF high) {
#if defined(__AVX512F__)
  return static_cast<VecF>(_mm512_maskz_min_ps(kAllLanes, static_cast<__m512>(high), static_cast<__m512>(v)));
#elif defined(__AVX2__)
  return static_cast<VecF>(_mm256_min_ps(static_cast<__m256>(high), static_cast<__m256>(v)));
#else
  return v > high ? high : v;
#endif
}
static inline VecF at_least(VecF v, VecF low) {
#if defined(__AVX512F__)
  return static_cast<VecF>(_mm512_maskz_max_ps(kAllLanes, static_cast<__m512>(low), static_cast<__m512>(v)));
#elif defined(__AVX2__)
  return static_cast<VecF>(_mm256_max_ps(static_cast<__m256>(low), static_cast<__m256>(v)));
#else
  return v < low ? low : v;
#endif
}

// 1 / v for normal v: a division takes longer than all the rest of a sigmoid.
static inline VecF reciprocal(VecF v) {
#if defined(__AVX512F__)
  const VecF near = static_cast<VecF>(_mm512_maskz_rcp14_ps(kAllLanes, static_cast<__m512>(v)));
  return near + near * (1.0f - v * near);  // one step of Newton's doubles the 14 bits
#else
  return 1.0f / v;
#endif
}

// e^v = scale * (1 + q) for v in [-87, 88], or e^-v; there scale is a normal number, and NaN passes by q.
struct VecExp {
  VecF q, scale;
};

template <bool is_negated>
static inline VecExp exp_parts(VecF v) {
  const float magic = 12582912.0f + 127.0f;  // as in tile_math.hpp, with the exponent's bias
  const VecF t = v * (is_negated ? -0x1.715476p+0f : 0x1.715476p+0f) + magic;
  const VecF n = t - magic;
#if defined(__FMA__)  // the product is exact, and ln 2 as a float wrong by 2e-9
  const VecF r = (is_negated ? -v : v) - n * 0x1.62e43p-1f;
#else
  const VecF r = ((is_negated ? -v : v) - n * 0x1.62e4p-1f) - n * 0x1.7f7d1cp-20f;
#endif
  // (e^r - 1 - r) / r^2 for |r| <= ln(2)/2, fitted: the relative error of e^r is 3e-9.
  VecF q = r * 0x1.6a23ccp-10f + 0x1.123a2p-7f;
  q = q * r + 0x1.5558f2p-5f;
  q = q * r + 0x1.555492p-3f;
  q = q * r + 0x1.fffffcp-2f;
  q = q * (r * r) + r;
  typedef uint32_t VecU __attribute__((vector_size(4 * kLanes)));
  return {q, (VecF)((VecU)t << 23)};
}

// Those of tile_math.hpp, within a few units in the last place.
static inline VecF sigmoid_f(VecF v) {
  const VecExp e = exp_parts<true>(at_least(at_most(v, splat(87.0f)), splat(-88.0f)));
  return reciprocal(e.q * e.scale + (e.scale + 1.0f));
}

// As a square, whose factors are normal numbers where e^v is too large for a float or less than the normal ones.
static inline VecF exp_f(VecF v) {
  const VecExp e = exp_parts<false>(0.5f * at_least(at_most(v, splat(176.0f)), splat(-174.0f)));
  const VecF root = e.q * e.scale + e.scale;
  return root * root;
}

static inline VecF expm1_f(VecF v) {
  const VecExp e = exp_parts<false>(at_least(at_most(v, splat(88.0f)), splat(-87.0f)));
  return v > 88.0f ? exp_f(v) : e.q * e.scale + (e.scale - 1.0f);
}

static inline VecF softplus_f(VecF v) {
  const VecExp e = exp_parts<false>(at_least(v < 0.0f ? v : -v, splat(-87.0f)));
  const VecF u = e.q * e.scale + e.scale, s = u * reciprocal(u + 2.0f), s2 = s * s;
  VecF p = s2 * (1.0f / 17) + 1.0f / 15;
  p = p * s2 + 1.0f / 13;
  p = p * s2 + 1.0f / 11;
  p = p * s2 + 1.0f / 9;
  p = p * s2 + 1.0f / 7;
  p = p * s2 + 1.0f / 5;
  p = p * s2 + 1.0f / 3;
  return (v > 0.0f ? v : VecF{}) + 2.0f * (s + s * s2 * p);
}

// A power of 2 to 4; others have no vector code.
static inline VecF power_f(VecF v, float exponent) {
  const VecF square = v * v;
  return exponent == 2.0f ? square : exponent == 3.0f ? square * v : square * square;
}

static inline VecF tanh_f(VecF v) {
  const VecExp e = exp_parts<false>(2.0f * at_least(at_most(v, splat(10.0f)), splat(-10.0f)));
  const VecF whole = e.q * e.scale + (e.scale - 1.0f);
  return whole * reciprocal(whole + 2.0f);
}

// erf(v) / v as a quotient of polynomials in v^2, fitted for |v| <= 3.924, beyond which erf is 1 to the last bit:
// relative error 4.5e-7 in float32 (2e-8 before rounding).
static inline VecF erf_f(VecF v) {
  v = at_least(at_most(v, splat(3.9242835f)), splat(-3.9242835f));
  const VecF z = v * v;
  VecF p = z * 0x1.12aff8p-19f + 0x1.2aaf86p-12f, q = z * 0x1.3f37dp-15f + 0x1.310d1ap-10f;
  p = p * z + 0x1.ee5a38p-9f;
  q = q * z + 0x1.eae852p-7f;
  p = p * z + 0x1.b0436cp-5f;
  q = q * z + 0x1.d3a6cep-4f;
  p = p * z + 0x1.8648b2p-3f;
  q = q * z + 0x1.0122ecp-1f;
  p = p * z + 0x1.20dd74p+0f;
  q = q * z + 1.0f;
  return at_least(at_most(v * p * reciprocal(q), splat(1.0f)), splat(-1.0f));
}

}  // namespace DT_ISA

#endif
