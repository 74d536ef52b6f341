// SPDX-License-Identifier: Apache-2.0
// The algorithm of Scale, compiled once per instruction set.
#ifndef DOVETAIL_PLUGINS_SCALE_CPU_GENERIC_HPP
#define DOVETAIL_PLUGINS_SCALE_CPU_GENERIC_HPP

#include "cpu_kernels.hpp"
#include "kernels/simd/convert.hpp"

namespace DT_ISA {
namespace {

constexpr int64_t kChunk = 512;  // floats on the stack where the type is not float32

// One parameter for all n elements. y may be x: elements do not depend on others.
void scale_by_one(const float* x, float* y, int64_t n, const ScaleArgs& args, int64_t parameter) {
  const float scale = args.scale ? args.scale[parameter] : 1.0f;
  const float shift = args.shift ? args.shift[parameter] : 0.0f;
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) y[i] = x[i] * scale + shift;
  const float power = args.power ? args.power[parameter] : 1.0f;
  if (power == 1.0f) return;
  for (int64_t i = 0; i < n; ++i) y[i] = __builtin_powf(y[i], power);
}

// Element i has parameter + i.
void scale_by_many(const float* x, float* y, int64_t n, const ScaleArgs& args, int64_t parameter) {
  const float* scale = args.scale ? args.scale + parameter : nullptr;
  const float* shift = args.shift ? args.shift + parameter : nullptr;
  if (scale && shift) {
#pragma GCC ivdep
    for (int64_t i = 0; i < n; ++i) y[i] = x[i] * scale[i] + shift[i];
  } else if (scale) {
#pragma GCC ivdep
    for (int64_t i = 0; i < n; ++i) y[i] = x[i] * scale[i];
  } else if (shift) {
#pragma GCC ivdep
    for (int64_t i = 0; i < n; ++i) y[i] = x[i] + shift[i];
  } else if (y != x) {
#pragma GCC ivdep
    for (int64_t i = 0; i < n; ++i) y[i] = x[i];
  }
  if (!args.power) return;
  for (int64_t i = 0; i < n; ++i) {
    const float power = args.power[parameter + i];
    if (power != 1.0f) y[i] = __builtin_powf(y[i], power);
  }
}

// Whole pixels of kLanes * v channels: the parameters stay in registers.
template <int v>
void scale_pixels(const float* x, float* y, int64_t n_pixels, const ScaleArgs& args, int64_t parameter) {
  VecF scale[v], shift[v];
  for (int j = 0; j < v; ++j) {
    scale[j] = args.scale ? load(args.scale + parameter + j * kLanes) : splat(1.0f);
    shift[j] = args.shift ? load(args.shift + parameter + j * kLanes) : splat(0.0f);
  }
  for (int64_t i = 0; i < n_pixels; ++i) {
    for (int j = 0; j < v; ++j) store(y + j * kLanes, load(x + j * kLanes) * scale[j] + shift[j]);
    x += v * kLanes;
    y += v * kLanes;
  }
}

// Elements [first, last), which belong to one (o, g); x and y point at the first.
void scale_segment(const float* x, float* y, int64_t first, int64_t last, const ScaleArgs& args) {
  const int64_t row = args.inner * args.lanes;
  const int64_t parameter = first / row % args.groups * args.lanes;
  if (args.lanes == 1) return scale_by_one(x, y, last - first, args, parameter);
  int64_t lane = first % args.lanes;
  for (int64_t n; first < last; first += n, x += n, y += n, lane = 0) {
    const int64_t pixels = (last - first) / args.lanes;
    if (lane == 0 && pixels > 0 && args.lanes == 16 && !args.power) {
      scale_pixels<16 / kLanes>(x, y, pixels, args, parameter);
      n = pixels * args.lanes;
    } else {
      n = args.lanes - lane < last - first ? args.lanes - lane : last - first;
      scale_by_many(x, y, n, args, parameter + lane);
    }
  }
}

}  // namespace

void scale(const ScaleArgs& args, int64_t first, int64_t last) {
  const int64_t row = args.inner * args.lanes;
  float chunk[kChunk];
  for (int64_t n; first < last; first += n) {
    n = row - first % row < last - first ? row - first % row : last - first;
    if (args.type == kF32) {
      scale_segment(static_cast<const float*>(args.x) + first, static_cast<float*>(args.y) + first, first, first + n,
                    args);
    } else {
      n = n < kChunk ? n : kChunk;
      load_floats(args.x, args.type, first, chunk, n);
      scale_segment(chunk, chunk, first, first + n, args);
      store_floats(chunk, args.y, args.type, first, n);
    }
  }
}

}  // namespace DT_ISA

#endif
