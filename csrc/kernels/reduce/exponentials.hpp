// SPDX-License-Identifier: Apache-2.0
// Exponentials of a row against its largest element, and their sum: what softmax and attention have in common.
#ifndef DOVETAIL_KERNELS_REDUCE_EXPONENTIALS_HPP
#define DOVETAIL_KERNELS_REDUCE_EXPONENTIALS_HPP

#include "kernels/reduce/fold.hpp"

namespace DT_ISA {

// e^v for v <= 0, 0 where that is less than the smallest normal number; NaN stays.
static inline VecF exp_below(VecF v) {
  const VecExp e = exp_parts<false>(at_least(v, splat(-87.0f)));
  return v < -87.0f ? VecF{} : e.q * e.scale + e.scale;
}

// e[0, n) = e^(x - max), where x may be e itself; the sum of at most about a thousand of them.
static inline float set_exponentials(const float* x, float max, float* e, int64_t n) {
  const VecF largest = splat(max);
  VecF even = VecF{}, odd = VecF{};
  int64_t i = 0;
  for (; i + 2 * kLanes <= n; i += 2 * kLanes) {
    const VecF a = exp_below(load(x + i) - largest), b = exp_below(load(x + i + kLanes) - largest);
    even += a;
    odd += b;
    store(e + i, a);
    store(e + i + kLanes, b);
  }
  for (; i < n; i += kLanes) {
    const int left = n - i < kLanes ? static_cast<int>(n - i) : kLanes;
    const VecF there = load_lanes(reinterpret_cast<uintptr_t>(x + i), 0, left, splat(-kInfinity));
    const VecF a = exp_below(there - largest);
    even += a;
    store_lanes(e + i, left, a);
  }
  return fold_lanes<SumOp>(even + odd);
}

}  // namespace DT_ISA

#endif
