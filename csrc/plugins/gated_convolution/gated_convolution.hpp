// SPDX-License-Identifier: Apache-2.0
// y = the convolution of x * gate, where gate has one value for each channel
//   inputs   x [..., C, spatial]; kernel [K, C / groups, window]; bias [K], optional; gate [..., C, 1, 1...], whose front
//            extents are those of x or 1
//   numerics sums in float32; a product of three factors is rounded twice, in any order
#ifndef DOVETAIL_PLUGINS_GATED_CONVOLUTION_GATED_CONVOLUTION_HPP
#define DOVETAIL_PLUGINS_GATED_CONVOLUTION_GATED_CONVOLUTION_HPP

#include "kernels/convolve/fields.hpp"

struct GatedConvolutionParams : dovetail::ConvolveParams {
  enum { kX, kKernel, kBias, kGate };

  dovetail::ConvolveFields fields() const { return dovetail::convolve_fields(*this, false); }
  void check_fields() const { dovetail::check_convolve_fields(*this); }
  void check_shapes(const dovetail::Shapes& inputs, const dovetail::Shapes& outputs) const {
    const dovetail::ConvolveFields f = fields();
    const dovetail::Shape x = inputs.get(kX, "x"), gate = inputs.get(kGate, "gate");
    dovetail::check_convolve_shapes(f, inputs, outputs);
    const int channel = x.rank() - f.n_spatial - 1;
    int64_t wanted[DT_MAX_RANK];
    for (int i = 0; i < x.rank(); ++i) {
      const bool is_one = i > channel || (i < channel && gate.rank() == x.rank() && gate[i] == 1);
      wanted[i] = is_one ? 1 : x[i];
    }
    expect_dims(gate, wanted, x.rank());
  }
};
DOVETAIL_READS(GatedConvolutionParams, DOVETAIL_CONVOLVE_MEMBERS)

#endif
