// SPDX-License-Identifier: Apache-2.0
// The algorithm of SoftMax, compiled once per instruction set.
#ifndef DOVETAIL_PLUGINS_SOFTMAX_CPU_GENERIC_HPP
#define DOVETAIL_PLUGINS_SOFTMAX_CPU_GENERIC_HPP

#include "cpu_kernels.hpp"
#include "kernels/reduce/exponentials.hpp"
#include "kernels/reduce/strips.hpp"
#include "kernels/simd/math.hpp"

namespace DT_ISA {
namespace {

constexpr int64_t kKept = 4096;  // exponentials of a row that are kept, not computed twice

void exponentials(const float* x, float max, float* e, int64_t n) {
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) e[i] = exp_f(x[i] - max);
}

// A contiguous row of float32.
void softmax_run(const float* x, float* y, int64_t n) {
  float max = -kInfinity;
  double sum = 0;
  for (int64_t i = 0; i < n; i += kStripChunk)
    max = max_f(max, max_of(x + i, n - i < kStripChunk ? n - i : kStripChunk));
  for (int64_t i = 0; i < n; i += kStripChunk) {
    sum += static_cast<double>(set_exponentials(x + i, max, y + i, n - i < kStripChunk ? n - i : kStripChunk));
  }
  const float factor = static_cast<float>(1.0 / sum);
  for (int64_t i = 0; i < n; ++i) y[i] *= factor;
}

void softmax_row(const SoftmaxArgs& args, const Strip& strip) {
  if (args.type == kF32 && strip.strips.runs == 1) {
    const float* const x = static_cast<const float*>(args.x) + strip.base;
    return softmax_run(x, static_cast<float*>(args.y) + strip.base, strip.strips.inner.n);
  }
  float max = -kInfinity, kept[kKept], e[kStripChunk];
  double sum = 0;
  const bool is_kept = args.over.count <= kKept;
  int64_t done = 0;
  each_piece(strip, [&](const float* x, int64_t, int64_t, int64_t n) { max = max_f(max, max_of(x, n)); });
  each_piece(strip, [&](const float* x, int64_t, int64_t, int64_t n) {
    float* to = is_kept ? kept + done : e;
    exponentials(x, max, to, n);
    sum += sum_of(to, n);
    done += n;
  });
  const float factor = static_cast<float>(1.0 / sum);
  done = 0;
  each_piece(strip, [&](const float* x, int64_t at, int64_t, int64_t n) {
    if (!is_kept) exponentials(x, max, e, n);
    const float* from = is_kept ? kept + done : e;
    for (int64_t i = 0; i < n; ++i) e[i] = from[i] * factor;
    store_floats(e, args.y, args.type, at, n);
    done += n;
  });
}

void softmax_columns(const SoftmaxArgs& args, const Strip& strip) {
  float max[kStripColumns], e[kStripColumns];
  double sum[kStripColumns];
  for (int64_t i = 0; i < strip.columns; ++i) {
    max[i] = -kInfinity;
    sum[i] = 0;
  }
  each_piece(strip, [&](const float* x, int64_t, int64_t, int64_t n) {
    for (int64_t i = 0; i < n; ++i) max[i] = max_f(max[i], x[i]);
  });
  const auto set_e = [&](const float* x, int64_t n) {
#pragma GCC ivdep
    for (int64_t i = 0; i < n; ++i) e[i] = exp_f(x[i] - max[i]);
  };
  each_piece(strip, [&](const float* x, int64_t, int64_t, int64_t n) {
    set_e(x, n);
    for (int64_t i = 0; i < n; ++i) sum[i] += static_cast<double>(e[i]);
  });
  float factor[kStripColumns];
  for (int64_t i = 0; i < strip.columns; ++i) factor[i] = static_cast<float>(1.0 / sum[i]);
  each_piece(strip, [&](const float* x, int64_t at, int64_t, int64_t n) {
    set_e(x, n);
    for (int64_t i = 0; i < n; ++i) e[i] *= factor[i];
    store_floats(e, args.y, args.type, at, n);
  });
}

}  // namespace

void softmax(const SoftmaxArgs& args, int64_t first, int64_t last) {
  for (int64_t item = first; item < last; ++item) {
    const Strip strip = strip_at(args.x, args.type, args.over, item);
    args.over.inner_is_reduced ? softmax_row(args, strip) : softmax_columns(args, strip);
  }
}

}  // namespace DT_ISA

#endif
