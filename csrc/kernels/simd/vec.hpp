// SPDX-License-Identifier: Apache-2.0
// A vector of floats as wide as this file's instruction set, and the type numbers that kernels switch on.
//
// Everything here is inside `namespace DT_ISA`: the same inline function compiled for two instruction sets must be two
// functions, or the linker keeps one of them for both callers.
#ifndef DOVETAIL_KERNELS_SIMD_VEC_HPP
#define DOVETAIL_KERNELS_SIMD_VEC_HPP

#include <stdint.h>
#include <string.h>

#include "dovetail/tile_math.hpp"

#if defined(__AVX__)  // where it is not needed, it would be most of what there is to read
#include <immintrin.h>
#endif

#ifndef DT_ISA  // set by the build for ISA files; rows files are built for the baseline
#define DT_ISA baseline
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

// DT_TYPE_* of plugin.h, of which ISA files see nothing; kernels/layout/format.hpp checks that the two agree.
constexpr int32_t kF32 = 0, kF16 = 1, kI8 = 2, kI32 = 3, kB8 = 4, kU8 = 5, kF8 = 6, kBF16 = 7, kI64 = 8;

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

}  // namespace DT_ISA

#endif
