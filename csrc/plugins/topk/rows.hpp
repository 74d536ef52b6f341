// SPDX-License-Identifier: Apache-2.0
// What the rows of TopK have in common on all devices.
#ifndef DOVETAIL_PLUGINS_TOPK_ROWS_HPP
#define DOVETAIL_PLUGINS_TOPK_ROWS_HPP

#include "dovetail/format.hpp"
#include "keys.hpp"
#include "topk.hpp"

// The axis. Throws unless both outputs have the dims of x but on the axis, where they have fewer or as many.
template <class T>
int check_topk(const TopkParams& params, const T& x, const T& values, const T& indices) {
  int axis = 0;
  while (axis < x.rank() && params.axes != int64_t{1} << axis) ++axis;
  if (axis == x.rank() || values.rank() != x.rank() || indices.rank() != x.rank()) {
    dovetail::fail(DT_SHAPE, "axes %#llx, ranks %d, %d and %d", static_cast<unsigned long long>(params.axes), x.rank(),
                   values.rank(), indices.rank());
  }
  for (int i = 0; i < x.rank(); ++i) {
    const int64_t extent = x.dims()[i], n = values.dims()[i], m = indices.dims()[i];
    const bool is_sound = n < 0 || m < 0 || n == m;
    const bool fits = extent < 0 || n < 0 || (i == axis ? n <= extent : n == extent);
    if (!is_sound || !fits) {
      dovetail::fail(DT_SHAPE, "extents of axis %d: x %lld, values %lld, indices %lld", i,
                     static_cast<long long>(extent), static_cast<long long>(n), static_cast<long long>(m));
    }
  }
  if (params.op != 0 && params.op != 1) dovetail::fail(DT_INVALID_ARGUMENT, "operation %d is not known", params.op);
  return axis;
}

inline const char* fits_topk(const TopkParams& params, const dovetail::Descs& inputs, const dovetail::Descs& outputs) {
  const int axis = check_topk(params, inputs[0], outputs[0], outputs[1]);
  return inputs[0].max_extent(axis) < int64_t{1} << 31 ? nullptr : "indices are 32 bits wide";
}

inline TopkArgs topk_args(const TopkParams& params, const dovetail::Run& run) {
  const dovetail::Tensor x = run.input(0), values = run.output(0), indices = run.output(1);
  const int axis = check_topk(params, x, values, indices);
  TopkArgs args = {};
  args.x = x.data<void>();
  args.values = values.data<void>();
  args.indices = indices.data<int32_t>();
  args.type = static_cast<int32_t>(x.type());
  args.is_least = params.op == 1;
  args.outer = x.volume(0, axis);
  args.count = x.extent(axis);
  args.inner = x.volume(axis + 1, x.rank());
  args.k = values.extent(axis);
  if (args.count >= int64_t{1} << 31) dovetail::fail(DT_UNSUPPORTED, "indices are 32 bits wide");
  return args;
}

#endif
