// SPDX-License-Identifier: Apache-2.0
// y = (x - mean) / sqrt(variance + epsilon) * scale + bias; mean and variance over some axes, and over the channels of
// a group where there are several groups.
//   numerics float32 whatever the type; the variance is the mean of the squared differences, in a second pass
#ifndef DOVETAIL_PLUGINS_NORMALIZATION_NORMALIZATION_HPP
#define DOVETAIL_PLUGINS_NORMALIZATION_NORMALIZATION_HPP

#include "dovetail/plugin.hpp"

struct NormalizationParams {
  int64_t axes = 0;  // a mask
  double epsilon = 1e-5;
  int64_t num_groups = 1;
};
DOVETAIL_READS(NormalizationParams, axes, epsilon, num_groups)

#endif
