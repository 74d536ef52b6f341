// SPDX-License-Identifier: Apache-2.0
// y = (x - mean) / sqrt(variance + epsilon) * scale + bias; mean and variance over some axes, and over the channels of
// a group where there are several groups. Where it is not centered, the mean is 0: y = x / sqrt(mean(x * x) + epsilon).
//   numerics float32 whatever the type; the variance is the mean of the squared differences, in a second pass
#ifndef DOVETAIL_PLUGINS_NORMALIZATION_NORMALIZATION_HPP
#define DOVETAIL_PLUGINS_NORMALIZATION_NORMALIZATION_HPP

#include "kernels/reduce/axes.hpp"

enum { kX, kScale, kBias };  // its inputs

struct NormalizationParams {
  int64_t axes = 0;  // a mask
  double epsilon = 1e-5;
  int64_t num_groups = 1;
  int32_t centered = 1;

  void check_fields() const { dovetail::expect_field("num_groups", num_groups, 1, INT32_MAX); }
  void check_shapes(const dovetail::Shapes& inputs, const dovetail::Shapes& outputs) const {
    const dovetail::Shape x = inputs.get(kX, "x"), scale = inputs.get(kScale, "scale"),
                          bias = inputs.get(kBias, "bias");
    expect_axes(x, axes);
    if (num_groups > 1 && x[1] % num_groups != 0) {
      dovetail::fail(DT_SHAPE, dovetail::nowhere("x has %lld channels, no multiple of num_groups %lld"),
                     static_cast<long long>(x[1]), static_cast<long long>(num_groups));
    }
    if (scale.rank() != x.rank()) {
      dovetail::fail(DT_SHAPE, dovetail::nowhere("scale has rank %d, x %d"), scale.rank(), x.rank());
    }
    for (int i = 0; i < x.rank(); ++i) {
      if (scale[i] == 1 || scale[i] == x[i] || (i == 1 && num_groups > 1 && scale[i] == num_groups)) continue;
      dovetail::fail(DT_SHAPE, dovetail::nowhere("axis %d of scale is %lld, of x %lld"), i,
                     static_cast<long long>(scale[i]), static_cast<long long>(x[i]));
    }
    expect_same_dims(bias, scale);
    if (bias.type() != scale.type()) dovetail::fail(DT_SHAPE, dovetail::nowhere("scale and bias are of two types"));
    expect_same_dims(outputs.get(0, "y"), x);
  }
};
DOVETAIL_READS(NormalizationParams, axes, epsilon, num_groups, centered)

#endif
