// SPDX-License-Identifier: Apache-2.0
// y = f(x), one of TensorRT's activations with parameters alpha and beta.
//   numerics float32 whatever the type; e^x, tanh and ln(1 + e^x) within a few units in the last place; NaN gives NaN
//   padding  lanes are written as zeros
#ifndef DOVETAIL_PLUGINS_ACTIVATION_ACTIVATION_HPP
#define DOVETAIL_PLUGINS_ACTIVATION_ACTIVATION_HPP

#include "dovetail/plugin.hpp"

struct ActivationParams {
  int32_t type = 0;  // ActivationKind
  double alpha = 0, beta = 0;

  void check_fields() const { dovetail::expect_field("type", type, 0, 11); }
  void check_shapes(const dovetail::Shapes& inputs, const dovetail::Shapes& outputs) const {
    expect_same_dims(outputs.get(0, "y"), inputs.get(0, "x"));
  }
};
DOVETAIL_READS(ActivationParams, type, alpha, beta)

#endif
