// SPDX-License-Identifier: Apache-2.0
// What the rows of Cumulative have in common on all devices.
#ifndef DOVETAIL_PLUGINS_CUMULATIVE_ROWS_HPP
#define DOVETAIL_PLUGINS_CUMULATIVE_ROWS_HPP

#include "cpu_kernels.hpp"
#include "cumulative.hpp"
#include "kernels/layout/format.hpp"

#define CUMULATIVE_TYPES "f32|f16|bf16|i32|i64|i8|u8"
constexpr char kCumulativeTypes[] = CUMULATIVE_TYPES " -> " CUMULATIVE_TYPES;
#undef CUMULATIVE_TYPES

inline CumulativeArgs cumulative_args(const CumulativeParams& params, const dovetail::Run& run) {
  const dovetail::Tensor x = run.input(0);
  const int axis = static_cast<int>(params.axis < 0 ? params.axis + x.rank() : params.axis);
  CumulativeArgs args = {};
  args.x = x.data<void>();
  args.y = run.output(0).data<void>();
  args.type = static_cast<int32_t>(x.type());
  args.is_product = params.op == kCumulativeProd;
  args.exclusive = params.exclusive != 0;
  args.reverse = params.reverse != 0;
  args.outer = x.volume(0, axis);
  args.n = x.extent(axis);
  args.inner = x.volume(axis + 1, x.rank());
  return args;
}

#endif
