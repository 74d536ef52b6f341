// SPDX-License-Identifier: Apache-2.0
// Sums of products of pairs of 16-bit integers, one pair in each 32-bit lane.
#ifndef DOVETAIL_KERNELS_SIMD_PAIRS_HPP
#define DOVETAIL_KERNELS_SIMD_PAIRS_HPP

#include "kernels/simd/vec.hpp"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace DT_ISA {
namespace {

typedef int32_t VecIUnaligned __attribute__((vector_size(4 * kLanes), aligned(4), may_alias));

// sum + a.low * b.low + a.high * b.high in each lane
inline VecI add_pairs(VecI sum, VecI a, VecI b) {
#if defined(__AVX512VNNI__)
  return reinterpret_cast<VecI>(
      _mm512_dpwssd_epi32(reinterpret_cast<__m512i>(sum), reinterpret_cast<__m512i>(a), reinterpret_cast<__m512i>(b)));
#elif defined(__AVX512BW__)
  return sum + reinterpret_cast<VecI>(_mm512_madd_epi16(reinterpret_cast<__m512i>(a), reinterpret_cast<__m512i>(b)));
#elif defined(__AVX2__)
  return sum + reinterpret_cast<VecI>(_mm256_madd_epi16(reinterpret_cast<__m256i>(a), reinterpret_cast<__m256i>(b)));
#elif defined(__SSE2__)
  return sum + reinterpret_cast<VecI>(_mm_madd_epi16(reinterpret_cast<__m128i>(a), reinterpret_cast<__m128i>(b)));
#else
  const VecI a_low = (a << 16) >> 16, b_low = (b << 16) >> 16;
  return sum + a_low * b_low + (a >> 16) * (b >> 16);
#endif
}

}  // namespace
}  // namespace DT_ISA

#endif
