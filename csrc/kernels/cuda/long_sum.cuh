// SPDX-License-Identifier: Apache-2.0
// Long sums of one thread: chains of float32 additions end after kSumTerms, and their results are added in float64.
#ifndef DOVETAIL_KERNELS_CUDA_LONG_SUM_CUH
#define DOVETAIL_KERNELS_CUDA_LONG_SUM_CUH

#include <cstdint>
#include <type_traits>

#include "dovetail/plugin.hpp"

DOVETAIL_OPEN_NAMESPACE

constexpr int kSumTerms = 256;

// f(first) + f(first + step) + ... for what is below `last`; integers in one chain.
template <class S, class F>
__device__ __forceinline__ S long_sum(int64_t first, int64_t last, int64_t step, const F& f) {
  if constexpr (std::is_same_v<S, float>) {
    double total = 0;
    for (int64_t i = first; i < last;) {
      float part = 0;
      const int64_t end = i + kSumTerms * step < last ? i + kSumTerms * step : last;
#pragma unroll 4
      for (; i < end; i += step) part += f(i);
      total += static_cast<double>(part);
    }
    return static_cast<float>(total);
  } else {
    S sum = 0;
#pragma unroll 4
    for (int64_t i = first; i < last; i += step) sum += f(i);
    return sum;
  }
}

// n sums beside one another, of terms that come one by one.
template <int n>
struct LongSums {
  float part[n];
  double total[n];
  int terms;

  __device__ LongSums() : terms(0) {
#pragma unroll
    for (int j = 0; j < n; ++j) part[j] = 0, total[j] = 0;
  }
  // Call this when each part has got a term.
  __device__ __forceinline__ void added() {
    if (++terms < kSumTerms) return;
    terms = 0;
#pragma unroll
    for (int j = 0; j < n; ++j) {
      total[j] += static_cast<double>(part[j]);
      part[j] = 0;
    }
  }
  __device__ __forceinline__ float value(int j) const {
    return static_cast<float>(total[j] + static_cast<double>(part[j]));
  }
};

DOVETAIL_CLOSE_NAMESPACE

#endif
