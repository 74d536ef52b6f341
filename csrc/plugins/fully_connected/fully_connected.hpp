// SPDX-License-Identifier: Apache-2.0
// y[n] = bias[n] + sum over k of kernel[n, k] * x[k], with k running over the last three dims of x: a matrix product,
// whose kernels stand in csrc/plugins/matrix_multiply
#ifndef DOVETAIL_PLUGINS_FULLY_CONNECTED_FULLY_CONNECTED_HPP
#define DOVETAIL_PLUGINS_FULLY_CONNECTED_FULLY_CONNECTED_HPP

#include "dovetail/plugin.hpp"

struct FullyConnectedParams {
  int64_t num_output_channels = 0;
};
DOVETAIL_READS(FullyConnectedParams, num_output_channels)

#endif
