// SPDX-License-Identifier: Apache-2.0
// The algorithm of Normalization, compiled once per instruction set.
#ifndef DOVETAIL_PLUGINS_NORMALIZATION_CPU_GENERIC_HPP
#define DOVETAIL_PLUGINS_NORMALIZATION_CPU_GENERIC_HPP

#include "cpu_kernels.hpp"
#include "dovetail/simd/reduce.hpp"
#include "dovetail/simd/strips.hpp"

namespace DT_ISA {
namespace {

struct Parameters {
  const float *scale, *bias;
  int64_t step;  // along the innermost axis: 1 or 0
};

void normalize_row(const NormalizationArgs& args, const Parameters& parameters, const Strip& strip) {
  float out[kStripChunk];
  double sum = 0, squares = 0;
  const double count = static_cast<double>(args.over.count);
  each_piece(strip, [&](const float* x, int64_t, int64_t, int64_t n) { sum += sum_of(x, n); });
  const float mean = static_cast<float>(sum / count);
  each_piece(strip, [&](const float* x, int64_t, int64_t, int64_t n) {
#pragma GCC ivdep
    for (int64_t i = 0; i < n; ++i) out[i] = (x[i] - mean) * (x[i] - mean);
    squares += sum_of(out, n);
  });
  const float factor = static_cast<float>(1.0 / __builtin_sqrt(squares / count + static_cast<double>(args.epsilon)));
  each_piece(strip, [&](const float* x, int64_t at, int64_t other, int64_t n) {
    const float *scale = parameters.scale + other, *bias = parameters.bias + other;
    if (parameters.step == 0) {
      const float a = scale[0], b = bias[0];
#pragma GCC ivdep
      for (int64_t i = 0; i < n; ++i) out[i] = (x[i] - mean) * factor * a + b;
    } else {
#pragma GCC ivdep
      for (int64_t i = 0; i < n; ++i) out[i] = (x[i] - mean) * factor * scale[i] + bias[i];
    }
    store_floats(out, args.y, args.type, at, n);
  });
}

void normalize_columns(const NormalizationArgs& args, const Parameters& parameters, const Strip& strip) {
  const int64_t columns = strip.columns;
  const double count = static_cast<double>(args.over.count);
  float mean[kStripColumns], factor[kStripColumns], out[kStripColumns];
  double sum[kStripColumns];
  for (int64_t i = 0; i < columns; ++i) sum[i] = 0;
  each_piece(strip, [&](const float* x, int64_t, int64_t, int64_t n) {
    for (int64_t i = 0; i < n; ++i) sum[i] += static_cast<double>(x[i]);
  });
  for (int64_t i = 0; i < columns; ++i) {
    mean[i] = static_cast<float>(sum[i] / count);
    sum[i] = 0;
  }
  each_piece(strip, [&](const float* x, int64_t, int64_t, int64_t n) {
    for (int64_t i = 0; i < n; ++i) sum[i] += static_cast<double>((x[i] - mean[i]) * (x[i] - mean[i]));
  });
  for (int64_t i = 0; i < columns; ++i) {
    factor[i] = static_cast<float>(1.0 / __builtin_sqrt(sum[i] / count + static_cast<double>(args.epsilon)));
  }
  each_piece(strip, [&](const float* x, int64_t at, int64_t other, int64_t n) {
    const float *scale = parameters.scale + other, *bias = parameters.bias + other;
    if (parameters.step == 0) {
      const float a = scale[0], b = bias[0];
#pragma GCC ivdep
      for (int64_t i = 0; i < n; ++i) out[i] = (x[i] - mean[i]) * factor[i] * a + b;
    } else {
#pragma GCC ivdep
      for (int64_t i = 0; i < n; ++i) out[i] = (x[i] - mean[i]) * factor[i] * scale[i] + bias[i];
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
