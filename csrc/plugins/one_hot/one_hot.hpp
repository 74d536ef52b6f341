// SPDX-License-Identifier: Apache-2.0
// y[o, d, i] = indices[o, i] is d, or d counted from the end, ? values[1] : values[0]; axis says where d is in y.
//   inputs 0 indices, 1 values, 2 depth, which the extents of y say
#ifndef DOVETAIL_PLUGINS_ONE_HOT_ONE_HOT_HPP
#define DOVETAIL_PLUGINS_ONE_HOT_ONE_HOT_HPP

#include "dovetail/plugin.hpp"

struct OneHotParams {
  int64_t axis = -1;

  void check_fields() const { dovetail::expect_field("axis", axis, -DT_MAX_RANK, DT_MAX_RANK - 1); }
  void check_shapes(const dovetail::Shapes& inputs, const dovetail::Shapes& outputs) const {
    const dovetail::Shape indices = inputs.get(0, "indices"), y = outputs.get(0, "y");
    expect_volume(inputs.get(1, "values"), 2);
    if (y.rank() != indices.rank() + 1) {
      dovetail::fail(DT_SHAPE, "y has %d axes, indices have %d", y.rank(), indices.rank());
    }
    const int64_t depth = y[axis];  // throws if there is no such axis
    const int at = place(y.rank());
    int64_t wanted[DT_MAX_RANK];
    for (int i = 0; i < y.rank(); ++i) wanted[i] = i == at ? depth : indices[i < at ? i : i - 1];
    expect_dims(y, wanted, y.rank());
  }
  int place(int rank) const { return static_cast<int>(axis < 0 ? axis + rank : axis); }
};
DOVETAIL_READS(OneHotParams, axis)

#endif
