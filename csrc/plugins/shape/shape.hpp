// SPDX-License-Identifier: Apache-2.0
// y holds the extents of x.
//   inputs   x in any format; its elements are not read
//   outputs  y, linear, as many elements as x has axes
#ifndef DOVETAIL_PLUGINS_SHAPE_SHAPE_HPP
#define DOVETAIL_PLUGINS_SHAPE_SHAPE_HPP

#include "dovetail/plugin.hpp"

struct ShapeParams {
  void check_shapes(const dovetail::Shapes& inputs, const dovetail::Shapes& outputs) const {
    const int64_t rank = inputs.get(0, "x").rank();
    expect_dims(outputs.get(0, "y"), &rank, 1);
  }
};
DOVETAIL_READS(ShapeParams)

#endif
