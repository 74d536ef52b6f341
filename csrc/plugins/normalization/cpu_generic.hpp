// SPDX-License-Identifier: Apache-2.0
// The algorithm of Normalization, compiled once per instruction set.
#ifndef DOVETAIL_PLUGINS_NORMALIZATION_CPU_GENERIC_HPP
#define DOVETAIL_PLUGINS_NORMALIZATION_CPU_GENERIC_HPP

#include "cpu_kernels.hpp"
#include "kernels/reduce/fold.hpp"
#include "kernels/reduce/strips.hpp"

namespace DT_ISA {
namespace {

struct Parameters {
  const float *scale, *bias;
  int64_t step;  // along the innermost axis: 1 or 0
};

// A mean in two floats: where elements have a large one in common, float32 alone would shift them all by its rounding.
struct Mean {
  float near, rest;
  explicit Mean(double mean)
      : near(static_cast<float>(mean)), rest(static_cast<float>(mean - static_cast<double>(near))) {
    if (rest != rest) rest = 0;  // of an infinite mean
  }
  Mean(float n, float r) : near(n), rest(r) {}

  // 1 / sqrt(variance + epsilon), from the mean square of what is left when `near` is taken off.
  float factor(double square, float epsilon) const {
    const double shift = static_cast<double>(rest), variance = square - shift * shift;
    return static_cast<float>(1.0 / __builtin_sqrt((variance < 0 ? 0.0 : variance) + static_cast<double>(epsilon)));
  }
};

void normalize_row(const NormalizationArgs& args, const Parameters& parameters, const Strip& strip) {
  float out[kStripChunk];
  double sum = 0, squares = 0;
  const double count = static_cast<double>(args.over.count);
  each_piece(strip, [&](const float* x, int64_t, int64_t, int64_t n) { sum += sum_of(x, n); });
  const Mean mean(sum / count);
  const float near = mean.near, rest = mean.rest;
  each_piece(strip, [&](const float* x, int64_t, int64_t, int64_t n) {
#pragma GCC ivdep
    for (int64_t i = 0; i < n; ++i) out[i] = (x[i] - near) * (x[i] - near);
    squares += sum_of(out, n);
  });
  const float factor = mean.factor(squares / count, args.epsilon);
  each_piece(strip, [&](const float* x, int64_t at, int64_t other, int64_t n) {
    const float *scale = parameters.scale + other, *bias = parameters.bias + other;
    if (parameters.step == 0) {
      const float a = scale[0], b = bias[0];
#pragma GCC ivdep
      for (int64_t i = 0; i < n; ++i) out[i] = (x[i] - near - rest) * factor * a + b;
    } else {
#pragma GCC ivdep
      for (int64_t i = 0; i < n; ++i) out[i] = (x[i] - near - rest) * factor * scale[i] + bias[i];
    }
    store_floats(out, args.y, args.type, at, n);
  });
}

void normalize_columns(const NormalizationArgs& args, const Parameters& parameters, const Strip& strip) {
  const int64_t columns = strip.columns;
  const double count = static_cast<double>(args.over.count);
  float near[kStripColumns], rest[kStripColumns], factor[kStripColumns], out[kStripColumns];
  double sum[kStripColumns];
  for (int64_t i = 0; i < columns; ++i) sum[i] = 0;
  each_piece(strip, [&](const float* x, int64_t, int64_t, int64_t n) {
    for (int64_t i = 0; i < n; ++i) sum[i] += static_cast<double>(x[i]);
  });
  for (int64_t i = 0; i < columns; ++i) {
    const Mean mean(sum[i] / count);
    near[i] = mean.near;
    rest[i] = mean.rest;
    sum[i] = 0;
  }
  each_piece(strip, [&](const float* x, int64_t, int64_t, int64_t n) {
    for (int64_t i = 0; i < n; ++i) sum[i] += static_cast<double>((x[i] - near[i]) * (x[i] - near[i]));
  });
  for (int64_t i = 0; i < columns; ++i) {
    factor[i] = Mean(near[i], rest[i]).factor(sum[i] / count, args.epsilon);
  }
  each_piece(strip, [&](const float* x, int64_t at, int64_t other, int64_t n) {
    const float *scale = parameters.scale + other, *bias = parameters.bias + other;
    if (parameters.step == 0) {
      const float a = scale[0], b = bias[0];
#pragma GCC ivdep
      for (int64_t i = 0; i < n; ++i) out[i] = (x[i] - near[i] - rest[i]) * factor[i] * a + b;
    } else {
#pragma GCC ivdep
      for (int64_t i = 0; i < n; ++i) out[i] = (x[i] - near[i] - rest[i]) * factor[i] * scale[i] + bias[i];
    }
    store_floats(out, args.y, args.type, at, n);
  });
}

}  // namespace

void normalization(const NormalizationArgs& args, const float* scale, const float* bias, int64_t first, int64_t last) {
  for (int64_t item = first; item < last; ++item) {
    const Strip strip = strip_at(args.x, args.type, args.over, item);
    const Parameters parameters = {scale, bias, strip.strips.inner.other};
    args.over.inner_is_reduced ? normalize_row(args, parameters, strip) : normalize_columns(args, parameters, strip);
  }
}

}  // namespace DT_ISA

#endif
