// SPDX-License-Identifier: Apache-2.0
// y[n] = bias[n] + sum over k of kernel[n, k] * x[k], with k running over the last three dims of x: a matrix product,
// computed by the kernels of kernels/gemm
#ifndef DOVETAIL_PLUGINS_FULLY_CONNECTED_FULLY_CONNECTED_HPP
#define DOVETAIL_PLUGINS_FULLY_CONNECTED_FULLY_CONNECTED_HPP

#include "dovetail/plugin.hpp"

struct FullyConnectedParams {
  int64_t num_output_channels = 0;

  void check_fields() const { dovetail::expect_field("num_output_channels", num_output_channels, 1, INT32_MAX); }
  void check_shapes(const dovetail::Shapes& inputs, const dovetail::Shapes& outputs) const {
    const dovetail::Shape x = inputs.get(0, "x");
    const int64_t kernel[] = {num_output_channels, x.volume_from(-3)};
    expect_dims(inputs.get(1, "kernel"), kernel, 2);
    if (inputs.has(2)) expect_dims(inputs.get(2, "bias"), &num_output_channels, 1);
    int64_t wanted[DT_MAX_RANK];
    const int batch = x.rank() - 3;
    for (int i = 0; i < x.rank(); ++i) wanted[i] = i < batch ? x[i] : i == batch ? num_output_channels : 1;
    expect_dims(outputs.get(0, "y"), wanted, x.rank());
  }
};
DOVETAIL_READS(FullyConnectedParams, num_output_channels)

#endif
