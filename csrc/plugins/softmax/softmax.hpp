// SPDX-License-Identifier: Apache-2.0
// y = e^(x - max) / sum of e^(x - max), over some axes.
//   numerics float32 whatever the type; a NaN, an infinity or nothing but -inf among the elements gives NaN
#ifndef DOVETAIL_PLUGINS_SOFTMAX_SOFTMAX_HPP
#define DOVETAIL_PLUGINS_SOFTMAX_SOFTMAX_HPP

#include "kernels/reduce/axes.hpp"

struct SoftmaxParams {
  int64_t axes = 0;  // a mask; 0 is the third axis from the end, or the first

  void check_shapes(const dovetail::Shapes& inputs, const dovetail::Shapes& outputs) const {
    const dovetail::Shape x = inputs.get(0, "x");
    if (x.rank() < 1) dovetail::fail(DT_SHAPE, dovetail::nowhere("x has no axis"));
    expect_axes(x, axes);
    expect_same_dims(outputs.get(0, "y"), x);
  }
};
DOVETAIL_READS(SoftmaxParams, axes)

#endif
