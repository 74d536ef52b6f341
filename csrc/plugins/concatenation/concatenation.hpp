// SPDX-License-Identifier: Apache-2.0
// y = the inputs one behind the other along an axis.
//   inputs   any number, linear, of one type; alike in all extents but that of the axis
//   outputs  y, linear
#ifndef DOVETAIL_PLUGINS_CONCATENATION_CONCATENATION_HPP
#define DOVETAIL_PLUGINS_CONCATENATION_CONCATENATION_HPP

#include "dovetail/plugin.hpp"

struct ConcatenationParams {
  int64_t axis = 0;  // negative ones count from the end

  int axis_of(int rank) const { return static_cast<int>(axis < 0 ? axis + rank : axis); }
  void check_shapes(const dovetail::Shapes& inputs, const dovetail::Shapes& outputs) const {
    const dovetail::Shape first = inputs.get(0, "xs");
    int64_t wanted[DT_MAX_RANK], total = first[axis];
    for (int i = 0; i < first.rank(); ++i) wanted[i] = first[i];
    int64_t& along = wanted[axis_of(first.rank())];
    for (int i = 1; i < inputs.size(); ++i) {
      const dovetail::Shape x = inputs.get(i, "xs");
      along = x[axis];
      expect_dims(x, wanted, first.rank());
      total += along;
    }
    along = total;
    expect_dims(outputs.get(0, "y"), wanted, first.rank());
  }
};
DOVETAIL_READS(ConcatenationParams, axis)

#endif
