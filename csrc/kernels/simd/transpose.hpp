// SPDX-License-Identifier: Apache-2.0
// A square of floats, as many as a vector has lanes in each direction, with rows and columns exchanged.
#ifndef DOVETAIL_KERNELS_SIMD_TRANSPOSE_HPP
#define DOVETAIL_KERNELS_SIMD_TRANSPOSE_HPP

#include "kernels/simd/vec.hpp"

namespace DT_ISA {
namespace {

#if defined(__AVX512F__)
#define DT_LANES(X) X(0), X(1), X(2), X(3), X(4), X(5), X(6), X(7), X(8), X(9), X(10), X(11), X(12), X(13), X(14), X(15)
#elif defined(__AVX2__)
#define DT_LANES(X) X(0), X(1), X(2), X(3), X(4), X(5), X(6), X(7)
#else
#define DT_LANES(X) X(0), X(1), X(2), X(3)
#endif

// Exchanges lanes of a whose index has bit `s` with lanes of b whose index lacks it.
template <int s>
inline void exchange(VecF* a, VecF* b) {
#define DT_LOW(j) ((j) & s) ? (j) - s + kLanes : (j)
#define DT_HIGH(j) ((j) & s) ? (j) + kLanes : (j) + s
  const VecF low = __builtin_shufflevector(*a, *b, DT_LANES(DT_LOW));
  const VecF high = __builtin_shufflevector(*a, *b, DT_LANES(DT_HIGH));
#undef DT_LOW
#undef DT_HIGH
  *a = low;
  *b = high;
}
#undef DT_LANES

template <int s>
inline void exchange_all(VecF* rows) {
  if constexpr (s < kLanes) {
#pragma GCC unroll 16
    for (int i = 0; i < kLanes; ++i) {
      if (!(i & s)) exchange<s>(rows + i, rows + i + s);
    }
    exchange_all<2 * s>(rows);
  }
}

// to[j * to_step + i] = from[i * from_step + j] for i and j in [0, kLanes)
inline void transpose_square(const float* from, int64_t from_step, float* to, int64_t to_step) {
  VecF rows[kLanes];
#pragma GCC unroll 16
  for (int i = 0; i < kLanes; ++i) rows[i] = load(from + i * from_step);
  exchange_all<1>(rows);
#pragma GCC unroll 16
  for (int i = 0; i < kLanes; ++i) store(to + i * to_step, rows[i]);
}

// Lane i of rows[0] becomes op over all lanes of rows[i]; the other rows are lost.
template <int s = kLanes / 2, class Op>
inline void fold_lanes(VecF* rows, const Op& op) {
#pragma GCC unroll 8
  for (int i = 0; i < s; ++i) {
    exchange<s>(rows + i, rows + i + s);
    rows[i] = op(rows[i], rows[i + s]);
  }
  if constexpr (s > 1) fold_lanes<s / 2>(rows, op);
}

}  // namespace
}  // namespace DT_ISA

#endif
