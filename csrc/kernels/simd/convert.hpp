// SPDX-License-Identifier: Apache-2.0
// float16 and bfloat16 to and from float32, many values; dovetail/tile_math.hpp has the functions of one.
#ifndef DOVETAIL_KERNELS_SIMD_CONVERT_HPP
#define DOVETAIL_KERNELS_SIMD_CONVERT_HPP

#include "kernels/simd/vec.hpp"

namespace DT_ISA {

static inline void halves_to_floats(const uint16_t* src, float* dst, int64_t n) {
  int64_t i = 0;
#if defined(__F16C__)
  for (; i + 8 <= n; i += 8) {
    _mm256_storeu_ps(dst + i, _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(src + i))));
  }
#endif
  for (; i < n; ++i) dst[i] = half_to_float(src[i]);
}

static inline void floats_to_halves(const float* src, uint16_t* dst, int64_t n) {
  int64_t i = 0;
#if defined(__F16C__)
  for (; i + 8 <= n; i += 8) {
    const __m128i h = _mm256_cvtps_ph(_mm256_loadu_ps(src + i), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(dst + i), h);
  }
#endif
  for (; i < n; ++i) dst[i] = float_to_half(src[i]);
}

// One element of a float tensor of `type` (kF32, kF16, kBF16) as float32.
static inline float read_float(const void* src, int32_t type, int64_t i) {
  if (type == kF32) return static_cast<const float*>(src)[i];
  const uint16_t h = static_cast<const uint16_t*>(src)[i];
  return type == kF16 ? half_to_float(h) : bf16_to_float(h);
}

// Elements [first, first + n) of a float tensor of `type` (kF32, kF16, kBF16) as float32.
static inline void load_floats(const void* src, int32_t type, int64_t first, float* dst, int64_t n) {
  if (type == kF32) {
    memcpy(dst, static_cast<const float*>(src) + first, static_cast<size_t>(n) * 4);
  } else if (type == kF16) {
    halves_to_floats(static_cast<const uint16_t*>(src) + first, dst, n);
  } else {
    const uint16_t* p = static_cast<const uint16_t*>(src) + first;
    for (int64_t i = 0; i < n; ++i) dst[i] = bf16_to_float(p[i]);
  }
}

static inline void store_floats(const float* src, void* dst, int32_t type, int64_t first, int64_t n) {
  if (type == kF32) {
    memcpy(static_cast<float*>(dst) + first, src, static_cast<size_t>(n) * 4);
  } else if (type == kF16) {
    floats_to_halves(src, static_cast<uint16_t*>(dst) + first, n);
  } else {
    uint16_t* p = static_cast<uint16_t*>(dst) + first;
    for (int64_t i = 0; i < n; ++i) p[i] = float_to_bf16(src[i]);
  }
}

}  // namespace DT_ISA

#endif
