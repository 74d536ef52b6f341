// SPDX-License-Identifier: Apache-2.0
// y = x / (k + alpha / window * sum of x^2 over the neighbouring channels)^beta; the channel axis is the third last.
//   numerics float32 whatever the type
#ifndef DOVETAIL_PLUGINS_LRN_LRN_HPP
#define DOVETAIL_PLUGINS_LRN_LRN_HPP

#include "cpu_kernels.hpp"
#include "dovetail/plugin.hpp"

struct LrnParams {
  int64_t window = 5;
  double alpha = 1e-4, beta = 0.75, k = 1;

  void check_fields() const {
    dovetail::expect_field("window", window, 1, kLrnMostWindow);
    if (window % 2 == 0) {
      dovetail::fail(DT_INVALID_ARGUMENT, dovetail::nowhere("field 'window' is %lld, an even number"),
                     static_cast<long long>(window));
    }
  }
  void check_shapes(const dovetail::Shapes& inputs, const dovetail::Shapes& outputs) const {
    const dovetail::Shape x = inputs.get(0, "x");
    if (x.rank() < 3) dovetail::fail(DT_SHAPE, dovetail::nowhere("x has rank %d, not 3 or more"), x.rank());
    expect_same_dims(outputs.get(0, "y"), x);
  }
};
DOVETAIL_READS(LrnParams, window, alpha, beta, k)

#endif
