// SPDX-License-Identifier: Apache-2.0
// What the rows of SoftMax have in common on all devices.
#ifndef DOVETAIL_PLUGINS_SOFTMAX_ROWS_HPP
#define DOVETAIL_PLUGINS_SOFTMAX_ROWS_HPP

#include "cpu_kernels.hpp"
#include "dovetail/format.hpp"
#include "softmax.hpp"

// Throws unless y has the dims of x, as far as they are known, and x the axes.
inline uint64_t softmax_axes(const SoftmaxParams& params, const int64_t* x, int x_rank, const int64_t* y, int y_rank) {
  if (x_rank < 1 || x_rank != y_rank) dovetail::fail(DT_SHAPE, "ranks %d and %d", x_rank, y_rank);
  for (int i = 0; i < x_rank; ++i) {
    if (x[i] >= 0 && y[i] >= 0 && x[i] != y[i]) dovetail::fail(DT_SHAPE, "extent %d of the output is not that of x", i);
  }
  if (params.axes < 0 || params.axes >> x_rank != 0) {
    dovetail::fail(DT_SHAPE, "axes %#llx of a tensor of rank %d", static_cast<unsigned long long>(params.axes), x_rank);
  }
  return params.axes != 0 ? static_cast<uint64_t>(params.axes) : uint64_t{1} << (x_rank < 3 ? 0 : x_rank - 3);
}

inline const char* fits_softmax(const SoftmaxParams& params, const dovetail::Descs& inputs,
                                const dovetail::Descs& outputs) {
  const dovetail::Desc x = inputs[0], y = outputs[0];
  softmax_axes(params, x.dims(), x.rank(), y.dims(), y.rank());
  return nullptr;
}

inline SoftmaxArgs softmax_args(const SoftmaxParams& params, const dovetail::Tensor& x, const dovetail::Tensor& y) {
  const uint64_t axes = softmax_axes(params, x.dims(), x.rank(), y.dims(), y.rank());
  return {x.data<void>(), y.data<void>(), static_cast<int32_t>(x.type()),
          DT_ISA::reduction_of(x.dims(), x.rank(), axes, nullptr)};
}

#endif
