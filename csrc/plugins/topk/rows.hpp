// SPDX-License-Identifier: Apache-2.0
// What the rows of TopK have in common on all devices.
#ifndef DOVETAIL_PLUGINS_TOPK_ROWS_HPP
#define DOVETAIL_PLUGINS_TOPK_ROWS_HPP

#include "kernels/layout/format.hpp"
#include "keys.hpp"
#include "topk.hpp"

inline const char* fits_topk(const TopkParams& params, const dovetail::Descs& inputs, const dovetail::Descs&) {
  return inputs[0].max_extent(params.axis()) < int64_t{1} << 31 ? nullptr : "indices are 32 bits wide";
}

inline TopkArgs topk_args(const TopkParams& params, const dovetail::Run& run) {
  const dovetail::Tensor x = run.input(0), values = run.output(0), indices = run.output(1);
  const int axis = params.axis();
  TopkArgs args = {};
  args.x = x.data<void>();
  args.values = values.data<void>();
  args.indices = indices.data<int32_t>();
  args.type = static_cast<int32_t>(x.type());
  args.is_least = params.op == kTopkMin;
  args.outer = x.volume(0, axis);
  args.count = x.extent(axis);
  args.inner = x.volume(axis + 1, x.rank());
  args.k = values.extent(axis);
  return args;
}

#endif
