// SPDX-License-Identifier: Apache-2.0
// y = round((a - a_zero) * a_factor + (b - b_zero) * b_factor) + y_zero, limited; all of them int8 or uint8
//   numerics float32, ties to even
//   padding  lanes are written as zeros
#ifndef DOVETAIL_PLUGINS_QUANTIZED_ADDITION_QUANTIZED_ADDITION_HPP
#define DOVETAIL_PLUGINS_QUANTIZED_ADDITION_QUANTIZED_ADDITION_HPP

#include "dovetail/plugin.hpp"

struct QuantizedAdditionParams {
  int64_t a_zero = 0, b_zero = 0, y_zero = 0;
  double a_factor = 1, b_factor = 1;
  int64_t low = -128, high = 255;

  void check_fields() const {
    dovetail::expect_field("a_zero", a_zero, -128, 255);
    dovetail::expect_field("b_zero", b_zero, -128, 255);
    dovetail::expect_field("y_zero", y_zero, -128, 255);
    dovetail::expect_field("low", low, -128, 255);
    dovetail::expect_field("high", high, -128, 255);
  }
  void check_shapes(const dovetail::Shapes& inputs, const dovetail::Shapes& outputs) const {
    const dovetail::Shape a = inputs.get(0, "a");
    expect_same_dims(inputs.get(1, "b"), a);
    expect_same_dims(outputs.get(0, "y"), a);
  }
};
DOVETAIL_READS(QuantizedAdditionParams, a_zero, b_zero, y_zero, a_factor, b_factor, low, high)

#endif
