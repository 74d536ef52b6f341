// SPDX-License-Identifier: Apache-2.0
// Sums, products and extrema of contiguous floats. Each of many partial results takes few elements, and float64 holds
// the total of the blocks, so that errors do not grow with n. max_f and min_f give NaN where either operand is.
#ifndef DOVETAIL_KERNELS_REDUCE_FOLD_HPP
#define DOVETAIL_KERNELS_REDUCE_FOLD_HPP

#include "kernels/simd/vec.hpp"

namespace DT_ISA {

constexpr float kInfinity = __builtin_inff();

// a is the partial result: once NaN it stays NaN, since nothing is greater.
static inline float max_f(float a, float v) { return (v > a) | (v != v) ? v : a; }
static inline float min_f(float a, float v) { return (v < a) | (v != v) ? v : a; }

struct SumOp {
  static constexpr float kIdentity = 0.0f;
  static float scalar(float a, float v) { return a + v; }
  template <class Vec>
  static Vec vector(Vec a, Vec v) {
    return a + v;
  }
};
struct ProdOp {
  static constexpr float kIdentity = 1.0f;
  static float scalar(float a, float v) { return a * v; }
  template <class Vec>
  static Vec vector(Vec a, Vec v) {
    return a * v;
  }
};
struct MaxOp {
  static constexpr float kIdentity = -kInfinity;
  static float scalar(float a, float v) { return max_f(a, v); }
  template <class Vec>
  static Vec vector(Vec a, Vec v) {
    return (v > a) | (v != v) ? v : a;
  }
};
struct MinOp {
  static constexpr float kIdentity = kInfinity;
  static float scalar(float a, float v) { return min_f(a, v); }
  template <class Vec>
  static Vec vector(Vec a, Vec v) {
    return (v < a) | (v != v) ? v : a;
  }
};

// All lanes of a vector, its halves joined until one is left. They stay in registers: what is stored as a vector and read
// by lanes waits until the store is done, which is most of the time of a short row.
template <class Op>
static inline float fold_lanes(VecF v) {
#if defined(__AVX512F__)
  const auto eight = Op::vector(__builtin_shufflevector(v, v, 0, 1, 2, 3, 4, 5, 6, 7),
                                __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15));
#else
  const VecF eight = v;
#endif
#if defined(__AVX2__)
  const auto four =
      Op::vector(__builtin_shufflevector(eight, eight, 0, 1, 2, 3), __builtin_shufflevector(eight, eight, 4, 5, 6, 7));
#else
  const VecF four = eight;
#endif
  const auto two = Op::vector(four, __builtin_shufflevector(four, four, 2, 3, 0, 1));
  return Op::scalar(two[0], two[1]);
}

// At most about a thousand elements.
template <class Op>
static inline float fold_block(const float* x, int64_t n) {
  VecF a = splat(Op::kIdentity), b = a, c = a, d = a;  // four chains: one is bound by the latency of an addition
  int64_t i = 0;
  for (; i + 4 * kLanes <= n; i += 4 * kLanes) {
    a = Op::vector(a, load(x + i));
    b = Op::vector(b, load(x + i + kLanes));
    c = Op::vector(c, load(x + i + 2 * kLanes));
    d = Op::vector(d, load(x + i + 3 * kLanes));
  }
  for (; i + kLanes <= n; i += kLanes) a = Op::vector(a, load(x + i));
  float all = fold_lanes<Op>(Op::vector(Op::vector(a, b), Op::vector(c, d)));
  for (; i < n; ++i) all = Op::scalar(all, x[i]);
  return all;
}

static inline double sum_of(const float* x, int64_t n) {
  double total = 0;
  for (int64_t i = 0; i < n; i += 1024)
    total += static_cast<double>(fold_block<SumOp>(x + i, n - i < 1024 ? n - i : 1024));
  return total;
}
static inline float max_of(const float* x, int64_t n) { return fold_block<MaxOp>(x, n); }

}  // namespace DT_ISA

#endif
