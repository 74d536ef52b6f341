// SPDX-License-Identifier: Apache-2.0
// y[:, k] = coordinates of the k-th element of x that is not zero, in row-major order; count = how many there are.
//   outputs 0 y, with room for all elements; its rows are `count` apart. 1 count
#ifndef DOVETAIL_PLUGINS_NON_ZERO_NON_ZERO_HPP
#define DOVETAIL_PLUGINS_NON_ZERO_NON_ZERO_HPP

#include "dovetail/plugin.hpp"

struct NonZeroParams {
  void check_shapes(const dovetail::Shapes& inputs, const dovetail::Shapes& outputs) const {
    const dovetail::Shape x = inputs.get(0, "x");
    const int64_t room[] = {x.rank(), x.volume()};
    expect_dims(outputs.get(0, "y"), room, 2);
    expect_dims(outputs.get(1, "count"), nullptr, 0);
  }
};
DOVETAIL_READS(NonZeroParams)

#endif
