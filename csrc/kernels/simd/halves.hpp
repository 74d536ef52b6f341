// SPDX-License-Identifier: Apache-2.0
// float16 and bfloat16 as stored elements, each a type of its own, with the functions that float has: a template of the
// element's type loads vectors of any of the three as float32, and stores them.
#ifndef DOVETAIL_KERNELS_SIMD_HALVES_HPP
#define DOVETAIL_KERNELS_SIMD_HALVES_HPP

#include "kernels/simd/convert.hpp"

namespace DT_ISA {

struct Half {
  uint16_t bits;
};
struct Bfloat {
  uint16_t bits;
};

static inline float value_of(float v) { return v; }
static inline float value_of(Half h) { return half_to_float(h.bits); }
static inline float value_of(Bfloat h) { return bf16_to_float(h.bits); }

static inline void set_value(float* p, float v) { *p = v; }
static inline void set_value(Half* p, float v) { p->bits = float_to_half(v); }
static inline void set_value(Bfloat* p, float v) { p->bits = float_to_bf16(v); }

typedef uint32_t VecBits __attribute__((vector_size(4 * kLanes)));
typedef uint16_t VecShorts __attribute__((vector_size(2 * kLanes)));

static inline VecF load(const Bfloat* p) {
  VecShorts h;
  memcpy(&h, p, sizeof h);
  return (VecF)(__builtin_convertvector(h, VecBits) << 16);
}

static inline VecF load(const Half* p) {
#if defined(__AVX512F__)
  const __m256i h = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  return static_cast<VecF>(_mm512_maskz_cvtph_ps(kAllLanes, h));
#elif defined(__F16C__)
  return static_cast<VecF>(_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
#else
  VecF v;
  for (int i = 0; i < kLanes; ++i) v[i] = value_of(p[i]);
  return v;
#endif
}

static inline void store_lanes(Bfloat* p, int n, VecF v) {
  const VecBits u = (VecBits)v, rounded = (u + 0x7fffu + ((u >> 16) & 1u)) >> 16;
  const VecShorts h = __builtin_convertvector(v != v ? (u >> 16) | 0x40u : rounded, VecShorts);
  memcpy(p, &h, static_cast<size_t>(n) * sizeof *p);
}

static inline void store_lanes(Half* p, int n, VecF v) {
  float lanes[kLanes];
  uint16_t h[kLanes];
  store(lanes, v);
  floats_to_halves(lanes, h, kLanes);
  memcpy(p, h, static_cast<size_t>(n) * sizeof *p);
}

}  // namespace DT_ISA

#endif
