// SPDX-License-Identifier: Apache-2.0
// y = the depthwise convolution of f(v), where v[m, p] = expansion_bias[m] + sum over c of expansion[m, c] * x[c, p]
//   inputs   x [..., C, rows, columns]; kernel [M, 1, taps] and bias [M], optional, of the depthwise convolution;
//            expansion [M, C, 1, 1]; expansion_bias [M], optional
//   f        v * sigmoid(v) where silu is set, then limited to low and high; the largest floats mean that there is none
//   padding  elements outside of f(v) count as zero
//   numerics sums in float32
#ifndef DOVETAIL_PLUGINS_EXPANDED_DEPTHWISE_EXPANDED_DEPTHWISE_HPP
#define DOVETAIL_PLUGINS_EXPANDED_DEPTHWISE_EXPANDED_DEPTHWISE_HPP

#include <float.h>

#include "kernels/convolve/fields.hpp"

struct ExpandedDepthwiseParams : dovetail::ConvolveParams {
  enum { kX, kKernel, kBias, kExpansion, kExpansionBias };

  int32_t silu = 0;
  double low = -FLT_MAX, high = FLT_MAX;

  dovetail::ConvolveFields fields() const { return dovetail::convolve_fields(*this, false); }
  void check_fields() const {
    dovetail::check_convolve_fields(*this);
    dovetail::expect_field("num_groups", num_groups, num_output_maps, num_output_maps);
  }
  void check_shapes(const dovetail::Shapes& inputs, const dovetail::Shapes& outputs) const {
    const dovetail::ConvolveFields f = fields();
    const dovetail::Shape x = inputs.get(kX, "x"), kernel = inputs.get(kKernel, "kernel");
    const int channel = x.rank() - f.n_spatial - 1;
    if (channel < 0) {
      dovetail::fail(DT_SHAPE, dovetail::nowhere("x has rank %d, with a kernel of %d extents it has %d or more"),
                     x.rank(), f.n_spatial, f.n_spatial + 1);
    }
    int64_t wanted[DT_MAX_RANK] = {f.maps, 1};
    for (int i = 0; i < f.n_spatial; ++i) wanted[2 + i] = f.kernel[3 - f.n_spatial + i];
    expect_dims(kernel, wanted, 2 + f.n_spatial);
    wanted[1] = x[channel];
    for (int i = 0; i < f.n_spatial; ++i) wanted[2 + i] = 1;
    expect_dims(inputs.get(kExpansion, "expansion"), wanted, 2 + f.n_spatial);
    if (inputs.has(kBias)) expect_dims(inputs.get(kBias, "bias"), &f.maps, 1);
    if (inputs.has(kExpansionBias)) expect_dims(inputs.get(kExpansionBias, "expansion_bias"), &f.maps, 1);
    for (int i = 0; i < x.rank(); ++i) {
      const int axis = i - x.rank() + 3;  // of the fields
      wanted[i] = i < channel ? x[i] : i == channel ? f.maps : dovetail::convolved_extent(f, axis, x[i]);
    }
    expect_dims(outputs.get(0, "y"), wanted, x.rank());
  }
};
DOVETAIL_READS(ExpandedDepthwiseParams, DOVETAIL_CONVOLVE_MEMBERS, silu, low, high)

#endif
