// SPDX-License-Identifier: Apache-2.0
// y[i] = x[0] + ... + x[i] along an axis, or the product.
//   numerics floats are joined in float32, long sums in blocks; integers wrap around
#ifndef DOVETAIL_PLUGINS_CUMULATIVE_CUMULATIVE_HPP
#define DOVETAIL_PLUGINS_CUMULATIVE_CUMULATIVE_HPP

#include "dovetail/plugin.hpp"
#include "kernels/spec/enumerations.hpp"

enum : int32_t { DOVETAIL_CUMULATIVE_OPERATION(DOVETAIL_ENUMERATOR, kCumulative) };

struct CumulativeParams {
  int64_t axis = 0;
  int32_t op = kCumulativeSum, exclusive = 0, reverse = 0;

  void check_fields() const {
    dovetail::expect_field("axis", axis, -DT_MAX_RANK, DT_MAX_RANK - 1);
    dovetail::expect_field("op", op, kCumulativeSum, kCumulativeProd);
  }
  void check_shapes(const dovetail::Shapes& inputs, const dovetail::Shapes& outputs) const {
    const dovetail::Shape x = inputs.get(0, "x");
    (void)x[axis];  // throws if there is no such axis
    expect_same_dims(outputs.get(0, "y"), x);
  }
};
DOVETAIL_READS(CumulativeParams, axis, op, exclusive, reverse)

#endif
