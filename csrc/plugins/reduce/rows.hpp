// SPDX-License-Identifier: Apache-2.0
// What the rows of Reduce have in common on all devices.
#ifndef DOVETAIL_PLUGINS_REDUCE_ROWS_HPP
#define DOVETAIL_PLUGINS_REDUCE_ROWS_HPP

#include "cpu_kernels.hpp"
#include "dovetail/format.hpp"
#include "reduce.hpp"

#define NUMBERS "f32|f16|bf16|i32|i64"
constexpr char kReduceTypes[] = NUMBERS " -> " NUMBERS;
#undef NUMBERS

// Throws unless y is what the fields make of x; extents of -1 are checked when they are known.
inline void check_reduce(const ReduceParams& params, const int64_t* x, int x_rank, const int64_t* y, int y_rank) {
  if (params.op < kReduceSum || params.op > kReduceAvg) {
    dovetail::fail(DT_INVALID_ARGUMENT, "reduction %d is not known", params.op);
  }
  if (params.axes < 0 || params.axes >> x_rank != 0) {
    dovetail::fail(DT_SHAPE, "axes %#llx of a tensor of rank %d", static_cast<unsigned long long>(params.axes), x_rank);
  }
  int at = 0;
  for (int i = 0; i < x_rank; ++i) {
    const bool is_reduced = (params.axes >> i & 1) != 0;
    if (is_reduced && params.keep_dims == 0) continue;
    const int64_t wanted = is_reduced ? 1 : x[i];
    if (at >= y_rank || (wanted >= 0 && y[at] >= 0 && y[at] != wanted)) {
      dovetail::fail(DT_SHAPE, "the output's dims are not what is left of axis %d of x", i);
    }
    ++at;
  }
  if (at != y_rank) dovetail::fail(DT_SHAPE, "the output has rank %d, not %d", y_rank, at);
}

inline const char* fits_reduce(const ReduceParams& params, const dovetail::Descs& inputs,
                               const dovetail::Descs& outputs) {
  const dovetail::Desc x = inputs[0], y = outputs[0];
  check_reduce(params, x.dims(), x.rank(), y.dims(), y.rank());
  return nullptr;
}

inline ReduceArgs reduce_args(const ReduceParams& params, const dovetail::Tensor& x, const dovetail::Tensor& y) {
  check_reduce(params, x.dims(), x.rank(), y.dims(), y.rank());
  return {x.data<void>(), y.data<void>(), static_cast<int32_t>(x.type()), params.op,
          DT_ISA::reduction_of(x.dims(), x.rank(), static_cast<uint64_t>(params.axes), nullptr)};
}

#endif
