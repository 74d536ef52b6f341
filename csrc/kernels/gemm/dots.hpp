// SPDX-License-Identifier: Apache-2.0
// Products of one row with rows that lie in memory as they are summed. Compiled once per instruction set.
#ifndef DOVETAIL_KERNELS_GEMM_DOTS_HPP
#define DOVETAIL_KERNELS_GEMM_DOTS_HPP

#include "kernels/simd/transpose.hpp"
#include "kernels/simd/vec.hpp"

namespace DT_ISA {
namespace {

inline float sum_of(VecF v) {
  float lanes[kLanes], sum = 0;
  store(lanes, v);
  for (int i = 0; i < kLanes; ++i) sum += lanes[i];
  return sum;
}

inline float dot(const float* a, const float* b, int64_t n) {
  VecF sum[4] = {};
  int64_t i = 0;
  for (; i + 4 * kLanes <= n; i += 4 * kLanes) {
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) sum[j] += load(a + i + j * kLanes) * load(b + i + j * kLanes);
  }
  for (; i + kLanes <= n; i += kLanes) sum[0] += load(a + i) * load(b + i);
  float rest = 0;
  for (; i < n; ++i) rest += a[i] * b[i];
  return rest + sum_of((sum[0] + sum[1]) + (sum[2] + sum[3]));
}

// to[i] = the product of a and row i of b, `step` apart, for i in [0, n); `size` is whole vectors.
inline void dot_rows(const float* a, int64_t size, const float* b, int64_t step, int64_t n, float* to) {
  for (int64_t first = 0; first < n; first += kLanes) {
    const int64_t here = n - first < kLanes ? n - first : kLanes;
    VecF sum[kLanes] = {};
    for (int64_t j = 0; j < here; ++j) {
      const float* const row = b + (first + j) * step;
      VecF products = {};
      for (int64_t i = 0; i < size; i += kLanes) products += load(a + i) * load(row + i);
      sum[j] = products;
    }
    fold_lanes(sum, [](VecF x, VecF y) { return x + y; });
    store_lanes(to + first, static_cast<int>(here), sum[0]);
  }
}

}  // namespace
}  // namespace DT_ISA

#endif
