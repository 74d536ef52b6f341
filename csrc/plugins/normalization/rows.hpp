// SPDX-License-Identifier: Apache-2.0
// What the rows of Normalization have in common on all devices.
#ifndef DOVETAIL_PLUGINS_NORMALIZATION_ROWS_HPP
#define DOVETAIL_PLUGINS_NORMALIZATION_ROWS_HPP

#include "cpu_kernels.hpp"
#include "dovetail/format.hpp"
#include "normalization.hpp"

enum { kX, kScale, kBias };

// Scale and bias are float32 or of the type of x.
#define DT_PARAMETER "f32|f16|bf16|f32|f32"
#define DT_X "f32|f16|bf16|f16|bf16"
constexpr char kNormalizationTypes[] = DT_X " " DT_PARAMETER " " DT_PARAMETER " -> " DT_X;
#undef DT_PARAMETER
#undef DT_X

// Dims of x, scale, bias and y, of one rank.
struct NormalizationDims {
  const int64_t *x, *scale, *bias, *y;
};

// Throws unless the dims agree, as far as they are known.
inline void check_normalization(const NormalizationParams& params, const NormalizationDims& dims, int rank) {
  const int64_t groups = params.num_groups;
  if (params.axes < 0 || params.axes >> rank != 0) {
    dovetail::fail(DT_SHAPE, "axes %#llx of a tensor of rank %d", static_cast<unsigned long long>(params.axes), rank);
  }
  if (groups < 1 || (groups > 1 && rank < 2)) {
    dovetail::fail(DT_SHAPE, "%lld groups of a tensor of rank %d", static_cast<long long>(groups), rank);
  }
  if (groups > 1 && dims.x[1] >= 0 && dims.x[1] % groups != 0) {
    dovetail::fail(DT_SHAPE, "%lld channels in %lld groups", static_cast<long long>(dims.x[1]),
                   static_cast<long long>(groups));
  }
  for (int i = 0; i < rank; ++i) {
    const int64_t x = dims.x[i], scale = dims.scale[i], bias = dims.bias[i];
    const bool has_bias = bias < 0 || scale < 0 || bias == scale;
    const bool is_spread = scale < 0 || x < 0 || scale == 1 || scale == x || (i == 1 && groups > 1 && scale == groups);
    const bool has_y = x < 0 || dims.y[i] < 0 || x == dims.y[i];
    if (!has_bias || !is_spread || !has_y) {
      dovetail::fail(DT_SHAPE, "extents of axis %d do not agree: x %lld, scale %lld, bias %lld, y %lld", i,
                     static_cast<long long>(x), static_cast<long long>(scale), static_cast<long long>(bias),
                     static_cast<long long>(dims.y[i]));
    }
  }
}

template <class T>
void check_normalization_of(const NormalizationParams& params, const T& x, const T& scale, const T& bias, const T& y) {
  if (scale.rank() != x.rank() || bias.rank() != x.rank() || y.rank() != x.rank()) {
    dovetail::fail(DT_SHAPE, "x, scale, bias and y are not of one rank");
  }
  check_normalization(params, {x.dims(), scale.dims(), bias.dims(), y.dims()}, x.rank());
}

inline const char* fits_normalization(const NormalizationParams& params, const dovetail::Descs& inputs,
                                      const dovetail::Descs& outputs) {
  check_normalization_of(params, inputs[kX], inputs[kScale], inputs[kBias], outputs[0]);
  if (inputs[kScale].type() != inputs[kBias].type()) return "scale and bias are of two types";
  return nullptr;
}

// Channels become groups and channels of a group; the latter are reduced.
inline NormalizationArgs normalization_args(const NormalizationParams& params, const dovetail::Run& run) {
  const dovetail::Tensor x = run.input(kX), scale = run.input(kScale), y = run.output(0);
  check_normalization_of(params, x, scale, run.input(kBias), y);
  const int rank = x.rank();
  const bool has_groups = params.num_groups > 1;
  int64_t dims[kReductionRank], steps[kReductionRank], step = 1;
  uint64_t mask = 0;
  for (int i = rank - 1; i >= 0; --i) {
    const int to = i + (has_groups && i > 0);
    const int64_t extent = scale.extent(i);
    const bool is_reduced = (params.axes >> i & 1) != 0;
    if (has_groups && i == 1) {
      dims[2] = x.extent(1) / params.num_groups;
      dims[1] = params.num_groups;
      const bool is_of_groups = extent == params.num_groups, is_of_channels = extent == x.extent(1);
      steps[2] = is_of_channels && extent != 1 ? step : 0;
      steps[1] = extent == 1 ? 0 : is_of_channels ? step * dims[2] : is_of_groups ? step : 0;
      mask |= 4;
    } else {
      dims[to] = x.extent(i);
      steps[to] = extent == 1 ? 0 : step;
      mask |= uint64_t{is_reduced} << to;
    }
    step *= extent;
  }
  NormalizationArgs args = {};
  args.x = x.data<void>();
  args.y = y.data<void>();
  args.type = static_cast<int32_t>(x.type());
  args.over = DT_ISA::reduction_of(dims, rank + has_groups, mask, steps);
  args.epsilon = static_cast<float>(params.epsilon);
  return args;
}

#endif
