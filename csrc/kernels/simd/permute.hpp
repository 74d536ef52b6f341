// SPDX-License-Identifier: Apache-2.0
// Lanes of a vector in an order that is known when it runs.
#ifndef DOVETAIL_KERNELS_SIMD_PERMUTE_HPP
#define DOVETAIL_KERNELS_SIMD_PERMUTE_HPP

#include "kernels/simd/vec.hpp"

namespace DT_ISA {
namespace {

// Lane i is lane lanes[i] of v.
inline VecF permute(VecF v, VecI lanes) {
#if defined(__AVX512F__)
  return static_cast<VecF>(_mm512_maskz_permutexvar_ps(kAllLanes, (__m512i)lanes, static_cast<__m512>(v)));
#elif defined(__AVX2__)
  return static_cast<VecF>(_mm256_permutevar8x32_ps(static_cast<__m256>(v), (__m256i)lanes));
#else
  VecF to = {};
  for (int i = 0; i < kLanes; ++i) to[i] = v[lanes[i]];
  return to;
#endif
}

}  // namespace
}  // namespace DT_ISA

#endif
