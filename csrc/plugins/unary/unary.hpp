// SPDX-License-Identifier: Apache-2.0
// y = f(x), one of TensorRT's functions of one element.
//   numerics floats in float32 whatever the type, within a few units in the last place; NaN gives NaN, and so does what
//            is outside of a function's domain. Integers are exact; NEG and ABS of the lowest give it back
//   padding  lanes are written as zeros
#ifndef DOVETAIL_PLUGINS_UNARY_UNARY_HPP
#define DOVETAIL_PLUGINS_UNARY_UNARY_HPP

#include "dovetail/plugin.hpp"

struct UnaryParams {
  int32_t op = 0;  // UnaryKind

  void check_fields() const { dovetail::expect_field("op", op, 0, 24); }
  void check_shapes(const dovetail::Shapes& inputs, const dovetail::Shapes& outputs) const {
    expect_same_dims(outputs.get(0, "y"), inputs.get(0, "x"));
  }
};
DOVETAIL_READS(UnaryParams, op)

#endif
