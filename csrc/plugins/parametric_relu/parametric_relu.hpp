// SPDX-License-Identifier: Apache-2.0
// y = x >= 0 ? x : slopes * x; an extent of 1 of slopes is repeated along x's.
//   numerics float32 whatever the type; NaN gives NaN
//   padding  lanes are written as zeros
#ifndef DOVETAIL_PLUGINS_PARAMETRIC_RELU_PARAMETRIC_RELU_HPP
#define DOVETAIL_PLUGINS_PARAMETRIC_RELU_PARAMETRIC_RELU_HPP

#include "kernels/pointwise/broadcast.hpp"

struct ParametricReluParams {
  void check_shapes(const dovetail::Shapes& inputs, const dovetail::Shapes& outputs) const {
    const char* const names[] = {"x", "slopes"};
    expect_broadcast(inputs, 2, names, outputs);
    expect_same_dims(outputs.get(0, "y"), inputs.get(0, "x"));
  }
};
DOVETAIL_READS(ParametricReluParams)

#endif
