// SPDX-License-Identifier: Apache-2.0
// y has x's elements, converted to y's type.
//   numerics float -> integer cuts off the fraction; what does not fit, and NaN, becomes the nearest limit and 0 (numpy
//            leaves these open). integer -> narrower integer keeps the low bits, as numpy does. anything -> BOOL is
//            "is not zero". -> float rounds to nearest, ties to even; to float16 and bfloat16 by way of float32
//   padding  lanes are written as zeros
#ifndef DOVETAIL_PLUGINS_IDENTITY_IDENTITY_HPP
#define DOVETAIL_PLUGINS_IDENTITY_IDENTITY_HPP

#include "dovetail/plugin.hpp"

struct IdentityParams {  // the types are the tensors'
  void check_shapes(const dovetail::Shapes& inputs, const dovetail::Shapes& outputs) const {
    expect_same_dims(outputs.get(0, "y"), inputs.get(0, "x"));
  }
};
DOVETAIL_READS(IdentityParams)

#endif
