// SPDX-License-Identifier: Apache-2.0
// What the rows of SoftMax have in common on all devices.
#ifndef DOVETAIL_PLUGINS_SOFTMAX_ROWS_HPP
#define DOVETAIL_PLUGINS_SOFTMAX_ROWS_HPP

#include "cpu_kernels.hpp"
#include "kernels/layout/format.hpp"
#include "softmax.hpp"

// All of it but the addresses. View: Tensor, or Desc of known extents.
template <class View>
SoftmaxArgs softmax_args(const SoftmaxParams& params, const View& x) {
  const uint64_t third_from_end = uint64_t{1} << (x.rank() < 3 ? 0 : x.rank() - 3);
  const uint64_t axes = params.axes != 0 ? static_cast<uint64_t>(params.axes) : third_from_end;
  return {nullptr, nullptr, static_cast<int32_t>(x.type()), DT_ISA::reduction_of(x.dims(), x.rank(), axes, nullptr)};
}

#endif
