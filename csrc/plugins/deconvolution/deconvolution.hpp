// SPDX-License-Identifier: Apache-2.0
// y[k, o] = bias[k] + sum over c, t of w[c, k, t] * x[c, i], over all i with i * stride + t * dilation - padding = o
//   inputs   x, 2 or 3 spatial dims at the end and channels before them; kernel [C, K / groups, taps]; bias [K],
//            optional
//   padding  is cut off y; the SAME modes compute it from window and stride
//   numerics sums in float32; INT8: exact sums in int32, then times x.scale * kernel.scale, plus bias
//   packing  a constant kernel is packed while building, another one in each run
#ifndef DOVETAIL_PLUGINS_DECONVOLUTION_DECONVOLUTION_HPP
#define DOVETAIL_PLUGINS_DECONVOLUTION_DECONVOLUTION_HPP

#include "kernels/convolve/fields.hpp"

struct DeconvolutionParams : dovetail::ConvolveParams {
  dovetail::ConvolveFields fields() const { return dovetail::convolve_fields(*this, true); }
  void check_fields() const { dovetail::check_convolve_fields(*this); }
  void check_shapes(const dovetail::Shapes& inputs, const dovetail::Shapes& outputs) const {
    dovetail::check_convolve_shapes(fields(), inputs, outputs);
  }
};
DOVETAIL_READS(DeconvolutionParams, DOVETAIL_CONVOLVE_MEMBERS)

#endif
