// SPDX-License-Identifier: Apache-2.0
// y = numbers on a line, or random ones that depend on the seed and the element's number alone.
//   inputs   0 dims, which the extents of y say; 1 alphas and 2 betas instead of the fields, of y's type
//   numerics floats are computed in float64 and rounded once to float32, then to y's type; integers wrap around
#ifndef DOVETAIL_PLUGINS_FILL_FILL_HPP
#define DOVETAIL_PLUGINS_FILL_FILL_HPP

#include "dovetail/plugin.hpp"
#include "kernels/spec/enumerations.hpp"

enum FillKind : int32_t { DOVETAIL_FILL_OPERATION(DOVETAIL_ENUMERATOR, k) };

struct FillParams {
  int32_t operation = kLinspace;
  double alpha = 0, beta = 1;
  int64_t seed = 0;

  void check_fields() const { dovetail::expect_field("operation", operation, 0, 2); }
  void check_shapes(const dovetail::Shapes& inputs, const dovetail::Shapes& outputs) const {
    const dovetail::Shape y = outputs.get(0, "y");
    const bool has_steps = operation == kLinspace && inputs.has(2);
    if (inputs.has(1)) expect_volume(inputs.get(1, "alphas"), 1);
    if (inputs.has(2)) expect_volume(inputs.get(2, "betas"), has_steps ? y.rank() : 1);
    if (operation == kLinspace && !has_steps && y.rank() != 1) {
      dovetail::fail(DT_SHAPE, "y has %d axes, one step is for one", y.rank());
    }
  }
};
DOVETAIL_READS(FillParams, operation, alpha, beta, seed)

#endif
