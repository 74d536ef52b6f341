// SPDX-License-Identifier: Apache-2.0
// The product of a panel of rows and a tile of columns, both packed, in registers.
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

typedef void (*Multiply)(const float* a, const float* b, int64_t depth, float* out);

template <int m>
inline Multiply multiply_for(int64_t panel, bool is_wide) {
  if (panel == m) return is_wide ? multiply<m, 2> : multiply<m, 1>;
  return multiply_for<m - 1>(panel, is_wide);
}
template <>
inline Multiply multiply_for<0>(int64_t, bool) {
  return nullptr;
}

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
