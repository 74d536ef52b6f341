// SPDX-License-Identifier: Apache-2.0
// The transforms of Winograd's convolution in one dimension, on vectors of channels or maps.
#ifndef DOVETAIL_KERNELS_CONVOLVE_WINOGRAD_TRANSFORM_HPP
#define DOVETAIL_KERNELS_CONVOLVE_WINOGRAD_TRANSFORM_HPP

#include "kernels/convolve/winograd_args.hpp"
#include "kernels/simd/vec.hpp"

namespace DT_ISA {
namespace {

// F(m, taps) with t = 2 pairs + 2. Row 0 of Bt is of the point 0, rows 1 + 2i and 2 + 2i of the points +a and -a of pair i, the last one of
// infinity. A row holds the coefficients of the product of (x - p) over the other points p.
template <int pairs, int taps>
struct Winograd {
  static constexpr int kInputs = 2 * pairs + 2, kOutputs = kInputs - taps + 1, kPositions = kInputs * kInputs;

  static constexpr double point(int i) { return kWinogradPoints[pairs - 1][i]; }
  // Coefficient k, of x^(2k), of the product of (x^2 - a^2) over the pairs but `without`.
  static constexpr double coefficient(int k, int without) {
    double c[pairs + 1] = {1};
    int degree = 0;
    for (int i = 0; i < pairs; ++i) {
      if (i == without) continue;
      for (int j = ++degree; j >= 0; --j) c[j] = (j > 0 ? c[j - 1] : 0) - (j < degree ? c[j] : 0) * point(i) * point(i);
    }
    return c[k];
  }
  static constexpr double power(int i, int exponent) {
    double result = 1;
    for (int k = 0; k < exponent; ++k) result *= point(i);
    return result;
  }

  // The sum of coefficients times every second of d; `without` as in `coefficient`.
  template <int without, int k = 0>
  static inline __attribute__((always_inline)) VecF combine(const VecF* d) {
    constexpr int last = without < 0 ? pairs : pairs - 1;
    constexpr float c = static_cast<float>(coefficient(k, without));
    if constexpr (k == last) {
      return d[2 * k];  // its coefficient is 1
    } else {
      return combine<without, k + 1>(d) + d[2 * k] * splat(c);
    }
  }
  template <int i = 0>
  static inline __attribute__((always_inline)) void combine_pairs(const VecF* d, VecF* to) {
    if constexpr (i < pairs) {
      constexpr float a = static_cast<float>(point(i));
      const VecF even = combine<i>(d + 2), odd = combine<i>(d + 1) * splat(a);
      to[1 + 2 * i] = even + odd;
      to[2 + 2 * i] = even - odd;
      combine_pairs<i + 1>(d, to);
    }
  }
  // Bt d
  static inline __attribute__((always_inline)) void of_inputs(const VecF* d, VecF* to) {
    to[0] = combine<-1>(d);
    combine_pairs(d, to);
    to[kInputs - 1] = combine<-1>(d + 1);
  }

  template <int j, int i = 0>
  static inline __attribute__((always_inline)) VecF weigh(const VecF* terms) {
    constexpr float c = static_cast<float>(power(i, j));
    if constexpr (i == pairs - 1) {
      return terms[i] * splat(c);
    } else {
      return weigh<j, i + 1>(terms) + terms[i] * splat(c);
    }
  }
  template <int j = 0>
  static inline __attribute__((always_inline)) void weigh_all(const VecF* sums, const VecF* differences, VecF* to) {
    if constexpr (j < kOutputs) {
      to[j] = weigh<j>(j % 2 == 0 ? sums : differences);
      weigh_all<j + 1>(sums, differences, to);
    }
  }
  // At y
  static inline __attribute__((always_inline)) void of_outputs(const VecF* y, VecF* to) {
    VecF sums[pairs], differences[pairs];
#pragma GCC unroll 4
    for (int i = 0; i < pairs; ++i) {
      sums[i] = y[1 + 2 * i] + y[2 + 2 * i];
      differences[i] = y[1 + 2 * i] - y[2 + 2 * i];
    }
    weigh_all(sums, differences, to);
    to[0] += y[0];
    to[kOutputs - 1] += y[kInputs - 1];
  }
};

}  // namespace
}  // namespace DT_ISA

#endif
