// SPDX-License-Identifier: Apache-2.0
// y = the convolution of x * gate, where gate has one value for each channel
//   inputs   x [..., C, spatial]; kernel [K, C / groups, window]; bias [K], optional; gate [..., C, 1, 1...], whose front
//            extents are those of x or 1
//   numerics sums in float32; a product of three factors is rounded twice, in any order
#ifndef DOVETAIL_PLUGINS_GATED_CONVOLUTION_GATED_CONVOLUTION_HPP
#define DOVETAIL_PLUGINS_GATED_CONVOLUTION_GATED_CONVOLUTION_HPP

#include "kernels/convolve/fields.hpp"

struct GatedConvolutionParams {
  enum { kX, kKernel, kBias, kGate };

  int64_t num_output_maps = 0;
  dovetail::Ints kernel_size_nd;
  dovetail::Ints stride_nd;                  // empty: ones
  dovetail::Ints pre_padding, post_padding;  // empty: zeros
  int32_t padding_mode = 0;
  dovetail::Ints dilation_nd;  // empty: ones
  int64_t num_groups = 1;

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
DOVETAIL_READS(GatedConvolutionParams, num_output_maps, kernel_size_nd, stride_nd, pre_padding, post_padding,
               padding_mode, dilation_nd, num_groups)

#endif
