// SPDX-License-Identifier: Apache-2.0
// What the rows of Reduce have in common on all devices.
#ifndef DOVETAIL_PLUGINS_REDUCE_ROWS_HPP
#define DOVETAIL_PLUGINS_REDUCE_ROWS_HPP

#include "kernels/layout/format.hpp"
#include "reduce.hpp"

#define NUMBERS "f32|f16|bf16|i32|i64"
constexpr char kReduceTypes[] = NUMBERS " -> " NUMBERS;
#undef NUMBERS

// All of it but the addresses. View: Tensor, or Desc of known extents.
template <class View>
ReduceArgs reduce_args(const ReduceParams& params, const View& x) {
  return {nullptr, nullptr, static_cast<int32_t>(x.type()), params.op,
          DT_ISA::reduction_of(x.dims(), x.rank(), static_cast<uint64_t>(params.axes), nullptr)};
}

#endif
