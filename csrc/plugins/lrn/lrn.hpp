// SPDX-License-Identifier: Apache-2.0
// y = x / (k + alpha / window * sum of x^2 over the neighbouring channels)^beta; channels are the third axis from the
// end.
//   numerics float32 whatever the type
#ifndef DOVETAIL_PLUGINS_LRN_LRN_HPP
#define DOVETAIL_PLUGINS_LRN_LRN_HPP

#include "dovetail/plugin.hpp"

struct LrnParams {
  int64_t window = 5;
  double alpha = 1e-4, beta = 0.75, k = 1;
};
DOVETAIL_READS(LrnParams, window, alpha, beta, k)

#endif
