// SPDX-License-Identifier: Apache-2.0
// float16 and bfloat16 to and from float32, one value and many.
// Rounding is to nearest, ties to even; NaN stays NaN; what is too large for float16 becomes infinity.
#ifndef DOVETAIL_KERNELS_SIMD_CONVERT_HPP
#define DOVETAIL_KERNELS_SIMD_CONVERT_HPP

#include "kernels/simd/vec.hpp"

namespace DT_ISA {

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
