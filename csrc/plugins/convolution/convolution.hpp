// SPDX-License-Identifier: Apache-2.0
// y[k, o] = bias[k] + sum over c, t of w[k, c, t] * x[c, o * stride - padding + t * dilation], in each image and group
//   inputs   x, 2 or 3 spatial dims at the end and channels before them; kernel [K, C / groups, taps]; bias [K],
//            optional
//   padding  elements outside of x count as zero; the SAME modes compute the padding from the extents
//   numerics sums in float32; INT8: exact sums in int32, then times x.scale * kernel.scale, plus bias
//   packing  a constant kernel is packed while building, another one in each run
#ifndef DOVETAIL_PLUGINS_CONVOLUTION_CONVOLUTION_HPP
#define DOVETAIL_PLUGINS_CONVOLUTION_CONVOLUTION_HPP

#include "kernels/convolve/fields.hpp"

struct ConvolutionParams : dovetail::ConvolveParams {
  dovetail::ConvolveFields fields() const { return dovetail::convolve_fields(*this, false); }
  void check_fields() const { dovetail::check_convolve_fields(*this); }
  void check_shapes(const dovetail::Shapes& inputs, const dovetail::Shapes& outputs) const {
    dovetail::check_convolve_shapes(fields(), inputs, outputs);
  }
};
DOVETAIL_READS(ConvolutionParams, DOVETAIL_CONVOLVE_MEMBERS)

#endif
