// SPDX-License-Identifier: Apache-2.0
// Sum, product, maximum, minimum or mean over some axes.
//   numerics float16 and bfloat16 are reduced in float32; long reductions are done in blocks. Integers wrap around,
//            their mean drops the fraction. MAX and MIN give NaN if an element is NaN
//   empty    SUM 0, PROD 1, MAX and MIN the least and the greatest value of the type; AVG NaN, of integers 0
#ifndef DOVETAIL_PLUGINS_REDUCE_REDUCE_HPP
#define DOVETAIL_PLUGINS_REDUCE_REDUCE_HPP

#include "cpu_kernels.hpp"
#include "kernels/reduce/axes.hpp"

struct ReduceParams {
  int32_t op = 0;  // ReduceKind
  int64_t axes = 0;
  int32_t keep_dims = 0;

  void check_fields() const { dovetail::expect_field("op", op, kReduceSum, kReduceAvg); }
  void check_shapes(const dovetail::Shapes& inputs, const dovetail::Shapes& outputs) const {
    const dovetail::Shape x = inputs.get(0, "x");
    expect_axes(x, axes);
    int64_t left[DT_MAX_RANK];
    int rank = 0;
    for (int i = 0; i < x.rank(); ++i) {
      if (!dovetail::has_axis(axes, i)) {
        left[rank++] = x[i];
      } else if (keep_dims != 0) {
        left[rank++] = 1;
      }
    }
    expect_dims(outputs.get(0, "y"), left, rank);
  }
};
DOVETAIL_READS(ReduceParams, op, axes, keep_dims)

#endif
