// SPDX-License-Identifier: Apache-2.0
// What the rows of LRN have in common on all devices.
#ifndef DOVETAIL_PLUGINS_LRN_ROWS_HPP
#define DOVETAIL_PLUGINS_LRN_ROWS_HPP

#include "cpu_kernels.hpp"
#include "dovetail/format.hpp"
#include "lrn.hpp"

// Throws unless y has the dims of x, as far as they are known.
inline void check_lrn(const LrnParams& params, const int64_t* x, int x_rank, const int64_t* y, int y_rank) {
  if (x_rank < 3 || x_rank != y_rank) dovetail::fail(DT_SHAPE, "ranks %d and %d", x_rank, y_rank);
  for (int i = 0; i < x_rank; ++i) {
    if (x[i] >= 0 && y[i] >= 0 && x[i] != y[i]) dovetail::fail(DT_SHAPE, "extent %d of the output is not that of x", i);
  }
  if (params.window < 1 || params.window > kLrnMostWindow || params.window % 2 == 0) {
    dovetail::fail(DT_INVALID_ARGUMENT, "a window of %lld channels", static_cast<long long>(params.window));
  }
}

inline const char* fits_lrn(const LrnParams& params, const dovetail::Descs& inputs, const dovetail::Descs& outputs) {
  const dovetail::Desc x = inputs[0], y = outputs[0];
  check_lrn(params, x.dims(), x.rank(), y.dims(), y.rank());
  return nullptr;
}

inline LrnArgs lrn_args(const LrnParams& params, const dovetail::Tensor& x, const dovetail::Tensor& y) {
  check_lrn(params, x.dims(), x.rank(), y.dims(), y.rank());
  const int axis = x.rank() - 3;
  LrnArgs args = {};
  args.x = x.data<void>();
  args.y = y.data<void>();
  args.type = static_cast<int32_t>(x.type());
  args.outer = x.volume(0, axis);
  args.channels = x.extent(axis);
  args.inner = x.volume(axis + 1, x.rank());
  args.window = params.window;
  args.alpha = static_cast<float>(params.alpha / static_cast<double>(params.window));
  args.beta = static_cast<float>(params.beta);
  args.k = static_cast<float>(params.k);
  return args;
}

#endif
