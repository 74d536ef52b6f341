// SPDX-License-Identifier: Apache-2.0
// The algorithm of LRN, compiled once per instruction set. Squares of the channels of a window are kept in a ring, and
// added anew for each channel: a running sum would collect errors.
#ifndef DOVETAIL_PLUGINS_LRN_CPU_GENERIC_HPP
#define DOVETAIL_PLUGINS_LRN_CPU_GENERIC_HPP

#include "cpu_kernels.hpp"
#include "kernels/simd/convert.hpp"

namespace DT_ISA {
namespace {

// v^-beta in place
void negative_power(float* v, int64_t n, float beta) {
  if (beta == 0.75f) {
    for (int64_t i = 0; i < n; ++i) v[i] = 1.0f / __builtin_sqrtf(v[i] * __builtin_sqrtf(v[i]));
  } else if (beta == 0.5f) {
    for (int64_t i = 0; i < n; ++i) v[i] = 1.0f / __builtin_sqrtf(v[i]);
  } else if (beta == 1.0f) {
    for (int64_t i = 0; i < n; ++i) v[i] = 1.0f / v[i];
  } else {
    for (int64_t i = 0; i < n; ++i) v[i] = __builtin_powf(v[i], -beta);
  }
}

void strip(const LrnArgs& args, int64_t base, int64_t n) {
  float squares[kLrnMostWindow][kLrnColumns], x[kLrnColumns], sum[kLrnColumns];
  const int64_t half = args.window / 2;
  int64_t loaded = 0;  // channels whose squares were put into the ring
  for (int64_t c = 0; c < args.channels; ++c) {
    for (; loaded < args.channels && loaded <= c + half; ++loaded) {
      float* to = squares[loaded % args.window];
      load_floats(args.x, args.type, base + loaded * args.inner, to, n);
      for (int64_t i = 0; i < n; ++i) to[i] *= to[i];
    }
    for (int64_t i = 0; i < n; ++i) sum[i] = 0;
    for (int64_t near = c < half ? 0 : c - half; near < loaded; ++near) {
      const float* from = squares[near % args.window];
#pragma GCC ivdep
      for (int64_t i = 0; i < n; ++i) sum[i] += from[i];
    }
    for (int64_t i = 0; i < n; ++i) sum[i] = args.k + args.alpha * sum[i];
    negative_power(sum, n, args.beta);
    load_floats(args.x, args.type, base + c * args.inner, x, n);
    for (int64_t i = 0; i < n; ++i) x[i] *= sum[i];
    store_floats(x, args.y, args.type, base + c * args.inner, n);
  }
}

}  // namespace

void lrn(const LrnArgs& args, int64_t first, int64_t last) {
  const int64_t pieces = (args.inner + kLrnColumns - 1) / kLrnColumns;
  for (int64_t item = first; item < last; ++item) {
    const int64_t column = item % pieces * kLrnColumns, left = args.inner - column;
    strip(args, item / pieces * args.channels * args.inner + column, left < kLrnColumns ? left : kLrnColumns);
  }
}

}  // namespace DT_ISA

#endif
