// SPDX-License-Identifier: Apache-2.0
// What the rows of LRN have in common on all devices.
#ifndef DOVETAIL_PLUGINS_LRN_ROWS_HPP
#define DOVETAIL_PLUGINS_LRN_ROWS_HPP

#include "kernels/layout/format.hpp"
#include "lrn.hpp"

inline LrnArgs lrn_args(const LrnParams& params, const dovetail::Tensor& x, const dovetail::Tensor& y) {
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
