// SPDX-License-Identifier: Apache-2.0
// The product of a packed panel of rows and a packed tile of columns, in registers.
#ifndef DOVETAIL_KERNELS_SIMD_MULTIPLY_HPP
#define DOVETAIL_KERNELS_SIMD_MULTIPLY_HPP

#include "kernels/simd/totals.hpp"
#include "kernels/simd/vec.hpp"

namespace DT_ISA {
namespace {

constexpr int kTile = 2 * kLanes;

// out[m][p] = sum over k of a[k][m] * b[k][p]
template <int m, int v>
void multiply(const float* a, const float* b, int64_t depth, float* out) {
  VecF sum[m][v];
#pragma GCC unroll 16
  for (int i = 0; i < m; ++i) {
#pragma GCC unroll 2
    for (int j = 0; j < v; ++j) sum[i][j] = VecF{};
  }
  for (int64_t k = 0; k < depth; ++k, a += m, b += kTile) {
    VecF x[v];
#pragma GCC unroll 2
    for (int j = 0; j < v; ++j) x[j] = load(b + j * kLanes);
#pragma GCC unroll 16
    for (int i = 0; i < m; ++i) {
      const VecF w = splat(a[i]);
#pragma GCC unroll 2
      for (int j = 0; j < v; ++j) sum[i][j] += w * x[j];
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < m; ++i) {
#pragma GCC unroll 2
    for (int j = 0; j < v; ++j) store(out + i * kTile + j * kLanes, sum[i][j]);
  }
}

#if defined(__AVX512BF16__)
// The same of bfloat16: where a float would be, a and b have a pair of them, neighbours in k. Denormal elements count
// as zeros, and sums that would be denormal become zeros: so the instruction has it.
template <int m, int v>
void multiply_pairs(const float* a, const float* b, int64_t pairs, float* out) {
  __m512 sum[m][v];
#pragma GCC unroll 16
  for (int i = 0; i < m; ++i) {
#pragma GCC unroll 2
    for (int j = 0; j < v; ++j) sum[i][j] = _mm512_setzero_ps();
  }
  for (int64_t k = 0; k < pairs; ++k, a += m, b += kTile) {
    __m512bh x[v];
#pragma GCC unroll 2
    for (int j = 0; j < v; ++j) x[j] = (__m512bh)_mm512_loadu_si512(b + j * kLanes);
#pragma GCC unroll 16
    for (int i = 0; i < m; ++i) {
      const __m512bh w = (__m512bh)_mm512_set1_ps(a[i]);
#pragma GCC unroll 2
      for (int j = 0; j < v; ++j) sum[i][j] = _mm512_dpbf16_ps(sum[i][j], w, x[j]);
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < m; ++i) {
#pragma GCC unroll 2
    for (int j = 0; j < v; ++j) _mm512_storeu_ps(out + i * kTile + j * kLanes, sum[i][j]);
  }
}

constexpr int kTerms = 2;  // of a product, in what takes the room of a float in a and b
#define DT_MULTIPLY multiply_pairs
#else
constexpr int kTerms = 1;
#define DT_MULTIPLY multiply
#endif

typedef void (*Multiply)(const float* a, const float* b, int64_t depth, float* out);

template <int m>
inline Multiply multiply_for(int64_t panel, bool is_wide) {
  if (panel == m) return is_wide ? DT_MULTIPLY<m, 2> : DT_MULTIPLY<m, 1>;
  return multiply_for<m - 1>(panel, is_wide);
}
template <>
inline Multiply multiply_for<0>(int64_t, bool) {
  return nullptr;
}

#undef DT_MULTIPLY

// The same for any depth, summed in blocks; a has `panel` rows, at most `most`.
template <int most>
inline void multiply_in_blocks(Multiply run, int64_t panel, const float* a, const float* b, int64_t depth, float* out) {
  if (depth <= kSumBlock) return run(a, b, depth, out);
  Totals<most * kTile> totals(panel * kTile);
  for (int64_t k = 0; k < depth; k += kSumBlock, a += kSumBlock * panel, b += kSumBlock * kTile) {
    run(a, b, depth - k < kSumBlock ? depth - k : kSumBlock, out);
    totals.add(out);
  }
  totals.read(out);
}

}  // namespace
}  // namespace DT_ISA

#endif
