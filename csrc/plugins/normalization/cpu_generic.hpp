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

  // 1 / sqrt(variance + epsilon), from the mean square of x - near.
  float factor(double square, float epsilon) const {
    const double shift = static_cast<double>(rest), variance = square - shift * shift;
    return static_cast<float>(1.0 / __builtin_sqrt((variance < 0 ? 0.0 : variance) + static_cast<double>(epsilon)));
  }
};

void normalize_row(const NormalizationArgs& args, const Parameters& parameters, const Strip& strip) {
  float out[kStripChunk];
  double sum = 0, squares = 0;
  const double count = static_cast<double>(args.over.count);
  if (args.is_centered) each_piece(strip, [&](const float* x, int64_t, int64_t, int64_t n) { sum += sum_of(x, n); });
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

// The sum of f over n neighbours, in blocks of which each is a few chains of additions. f(beside) is 0.
template <class Function>
inline double sum_each(const float* x, int64_t n, float beside, const Function& f) {
  constexpr int64_t kBlock = 1024;
  double total = 0;
  for (int64_t first = 0; first < n; first += kBlock) {
    const int64_t last = n - first < kBlock ? n : first + kBlock;
    VecF a = VecF{}, b = a, c = a, d = a;
    int64_t i = first;
    for (; i + 4 * kLanes <= last; i += 4 * kLanes) {
      a += f(load(x + i));
      b += f(load(x + i + kLanes));
      c += f(load(x + i + 2 * kLanes));
      d += f(load(x + i + 3 * kLanes));
    }
    for (; i + kLanes <= last; i += kLanes) a += f(load(x + i));
    if (i < last) {
      const int left = static_cast<int>(last - i);
      b += f(load_lanes(reinterpret_cast<uintptr_t>(x + i), 0, left, splat(beside)));
    }
    float lanes[kLanes];
    store(lanes, (a + b) + (c + d));
    for (int half = kLanes / 2; half > 0; half /= 2) {
      for (int k = 0; k < half; ++k) lanes[k] += lanes[k + half];
    }
    total += static_cast<double>(lanes[0]);
  }
  return total;
}

// normalize_row where the row is n neighbours of float32, from `at` on.
void normalize_neighbours(const NormalizationArgs& args, const Parameters& parameters, int64_t at, int64_t n) {
  const float* const x = static_cast<const float*>(args.x) + at;
  float* const y = static_cast<float*>(args.y) + at;
  const double count = static_cast<double>(n);
  const Mean mean(args.is_centered ? sum_each(x, n, 0.0f, [](VecF v) { return v; }) / count : 0.0);
  const float near = mean.near, rest = mean.rest;
  const VecF middle = splat(near);
  const float factor =
      mean.factor(sum_each(x, n, near, [middle](VecF v) { return (v - middle) * (v - middle); }) / count, args.epsilon);
  const float *const scale = parameters.scale, *const bias = parameters.bias;
  const int64_t step = parameters.step;
  if (step == 0) {
    const float a = scale[0], b = bias[0];
#pragma GCC ivdep
    for (int64_t i = 0; i < n; ++i) y[i] = (x[i] - near - rest) * factor * a + b;
  } else {
#pragma GCC ivdep
    for (int64_t i = 0; i < n; ++i) y[i] = (x[i] - near - rest) * factor * scale[i] + bias[i];
  }
}

void normalize_columns(const NormalizationArgs& args, const Parameters& parameters, const Strip& strip) {
  const int64_t columns = strip.columns;
  const double count = static_cast<double>(args.over.count);
  float near[kStripColumns], rest[kStripColumns], factor[kStripColumns], out[kStripColumns];
  double sum[kStripColumns];
  for (int64_t i = 0; i < columns; ++i) sum[i] = 0;
  if (args.is_centered) {
    each_piece(strip, [&](const float* x, int64_t, int64_t, int64_t n) {
      for (int64_t i = 0; i < n; ++i) sum[i] += static_cast<double>(x[i]);
    });
  }
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
  const Strips strips = strips_of(args.over);
  if (args.type == kF32 && args.over.inner_is_reduced && strips.runs == 1 && strips.inner.other <= 1) {
    for (int64_t item = first; item < last; ++item) {
      int64_t other;
      const int64_t at = offset_of(args.over.kept, strips.n_kept, item, &other);
      normalize_neighbours(args, {scale + other, bias + other, strips.inner.other}, at, strips.inner.n);
    }
    return;
  }
  for (int64_t item = first; item < last; ++item) {
    const Strip strip = strip_at(args.x, args.type, args.over, item);
    const Parameters parameters = {scale, bias, strip.strips.inner.other};
    args.over.inner_is_reduced ? normalize_row(args, parameters, strip) : normalize_columns(args, parameters, strip);
  }
}

}  // namespace DT_ISA

#endif
