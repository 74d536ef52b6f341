// SPDX-License-Identifier: Apache-2.0
// y holds the values given as a field.
//   outputs  y, linear; as many elements as weights, of their type
#ifndef DOVETAIL_PLUGINS_CONSTANT_CONSTANT_HPP
#define DOVETAIL_PLUGINS_CONSTANT_CONSTANT_HPP

#include "dovetail/plugin.hpp"

struct ConstantParams {
  const dt_tensor* weights = nullptr;

  void check_fields() const {
    if (weights == nullptr) dovetail::fail(DT_INVALID_ARGUMENT, "field 'weights' is missing");
  }
  void check_shapes(const dovetail::Shapes&, const dovetail::Shapes& outputs) const {
    const dovetail::Shape y = outputs.get(0, "y");
    const dovetail::Tensor values(weights);
    expect_volume(y, values.volume());
    if (y.type() != values.type()) dovetail::fail(DT_INVALID_ARGUMENT, "y is not of the type of the weights");
  }
};
DOVETAIL_READS(ConstantParams, weights)

#endif
