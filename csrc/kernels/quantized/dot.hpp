// SPDX-License-Identifier: Apache-2.0
// Sums of products of uint8 and int8: pixels times the columns of some panels, in registers over all of k.
#ifndef DOVETAIL_KERNELS_QUANTIZED_DOT_HPP
#define DOVETAIL_KERNELS_QUANTIZED_DOT_HPP

#include "kernels/quantized/args.hpp"
#include "kernels/simd/pairs.hpp"

namespace DT_ISA {
namespace {

constexpr int kPanelLanes = static_cast<int>(kQuantizedColumns);
// Pixels whose sums are in registers, beside two vectors of b and one of a.
#if defined(__AVX512VNNI__)
constexpr int kMostPixels = 14;
#elif defined(__AVX512F__)
constexpr int kMostPixels = 12;
#elif defined(__AVX2__)
constexpr int kMostPixels = 4;
#else
constexpr int kMostPixels = 2;
#endif

// Four elements of b in each lane, ready to be multiplied. Without instructions for them, those with an even and those
// with an odd index become pairs of 16 bits: no sum of two products needs more than 32.
#if defined(__AVX512VNNI__)
struct Quads {
  VecI all;
  explicit Quads(VecI b) : all(b) {}
};
struct QuadOfA {
  VecI all;
  explicit QuadOfA(int32_t a) : all(VecI{} + a) {}
};
inline VecI add_quads(VecI sum, const QuadOfA& a, const Quads& b) {
  return reinterpret_cast<VecI>(_mm512_dpbusd_epi32(reinterpret_cast<__m512i>(sum), reinterpret_cast<__m512i>(a.all),
                                                    reinterpret_cast<__m512i>(b.all)));
}
#else
typedef int16_t VecS __attribute__((vector_size(4 * kLanes)));
struct Quads {
  VecI even, odd;
  explicit Quads(VecI b)
      : even(reinterpret_cast<VecI>((reinterpret_cast<VecS>(b) << 8) >> 8)),
        odd(reinterpret_cast<VecI>(reinterpret_cast<VecS>(b) >> 8)) {}
};
struct QuadOfA {
  VecI even, odd;
  explicit QuadOfA(int32_t a) : even(VecI{} + (a & 0x00ff00ff)), odd(VecI{} + ((a >> 8) & 0x00ff00ff)) {}
};
inline VecI add_quads(VecI sum, const QuadOfA& a, const Quads& b) {
  return add_pairs(add_pairs(sum, a.even, b.even), a.odd, b.odd);
}
#endif

// out[pixel][panel][16] of m pixels.
template <int m, int panels>
void dot(const uint8_t* a, int64_t a_pixel, const int64_t* offsets, int64_t entries, const int8_t* b,
         [[maybe_unused]] int64_t panel, int32_t* out) {
  constexpr int v = panels * kPanelLanes / kLanes;
  VecI sum[m][v];
#pragma GCC unroll 16
  for (int i = 0; i < m; ++i) {
#pragma GCC unroll 8
    for (int j = 0; j < v; ++j) sum[i][j] = VecI{};
  }
  for (int64_t e = 0; e < entries; ++e, b += kQuantizedEntryBytes) {
    const uint8_t* const entry = a + offsets[e];
#pragma GCC unroll 4
    for (int q = 0; q < 4; ++q) {
      const int8_t* const row = b + q * 4 * kPanelLanes;
#if defined(__AVX512VNNI__) || defined(__AVX2__)
      const Quads w[2] = {Quads(*reinterpret_cast<const VecIUnaligned*>(row)),
                          Quads(*reinterpret_cast<const VecIUnaligned*>(v == 1        ? row
                                                                        : panels == 1 ? row + 4 * kLanes
                                                                                      : row + panel))};
      const uint8_t* three = entry + 4 * q;  // each third pixel: the others are one and two steps behind it
#pragma GCC unroll 16
      for (int i = 0; i < m; ++i) {
        if (i > 0 && i % 3 == 0) three += 3 * a_pixel;
        int32_t quad;
        memcpy(&quad, three + i % 3 * a_pixel, 4);
        const QuadOfA x(quad);
#pragma GCC unroll 2
        for (int j = 0; j < v; ++j) sum[i][j] = add_quads(sum[i][j], x, w[j]);
      }
#else
#pragma GCC unroll 8
      for (int j = 0; j < v; ++j) {
        const Quads w(*reinterpret_cast<const VecIUnaligned*>(row + 4 * j * kLanes));
#pragma GCC unroll 16
        for (int i = 0; i < m; ++i) {
          int32_t quad;
          memcpy(&quad, entry + i * a_pixel + 4 * q, 4);
          sum[i][j] = add_quads(sum[i][j], QuadOfA(quad), w);
        }
      }
#endif
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < m; ++i) {
#pragma GCC unroll 8
    for (int j = 0; j < v; ++j) {
      *reinterpret_cast<VecIUnaligned*>(out + i * panels * kPanelLanes + j * kLanes) = sum[i][j];
    }
  }
}

typedef void (*Dot)(const uint8_t* a, int64_t a_pixel, const int64_t* offsets, int64_t entries, const int8_t* b,
                    int64_t panel, int32_t* out);

template <int m, int panels>
inline Dot dot_for(int64_t pixels) {
  if constexpr (m > 0) {
    if (pixels == m) return dot<m, panels>;
    return dot_for<m - 1, panels>(pixels);
  }
  return nullptr;
}

}  // namespace
}  // namespace DT_ISA

#endif
