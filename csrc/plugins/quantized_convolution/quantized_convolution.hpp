// SPDX-License-Identifier: Apache-2.0
// A convolution of x - x_zero, of 8 bits, with an int8 kernel, in int32; or that times a factor
//   inputs   x; kernel [K, C / groups, taps]; bias [K], in float32 where y is, else in int32; x_zero, one value; factor,
//            one value or [K]; y_zero, one value
//   padding  as Convolution has it; elements outside of x are x_zero
//   numerics sums modulo 2^32; times factor in float32. int8 and uint8: to nearest, ties to even, plus y_zero, limited
//   packing  a constant kernel is packed while building, another one in each run
#ifndef DOVETAIL_PLUGINS_QUANTIZED_CONVOLUTION_QUANTIZED_CONVOLUTION_HPP
#define DOVETAIL_PLUGINS_QUANTIZED_CONVOLUTION_QUANTIZED_CONVOLUTION_HPP

#include "kernels/convolve/fields.hpp"

struct QuantizedConvolutionParams {
  enum { kX, kKernel, kBias, kXZero, kFactor, kYZero };
  int64_t num_output_maps = 0;
  dovetail::Ints kernel_size_nd;
  dovetail::Ints stride_nd;                  // empty: ones
  dovetail::Ints pre_padding, post_padding;  // empty: zeros
  int32_t padding_mode = 0;
  dovetail::Ints dilation_nd;  // empty: ones
  int64_t num_groups = 1;
  int64_t low = -128, high = 255;

  dovetail::ConvolveFields fields() const { return dovetail::convolve_fields(*this, false); }
  void check_fields() const {
    dovetail::check_convolve_fields(*this);
    dovetail::expect_field("low", low, -128, 255);
    dovetail::expect_field("high", high, low, 255);
  }
  void check_shapes(const dovetail::Shapes& inputs, const dovetail::Shapes& outputs) const {
    dovetail::check_convolve_shapes(fields(), inputs, outputs);
    if (inputs.has(kXZero)) expect_volume(inputs.get(kXZero, "x_zero"), 1);
    if (inputs.has(kYZero)) expect_volume(inputs.get(kYZero, "y_zero"), 1);
    if (outputs.get(0, "y").type() == dovetail::DataType::kINT32) return;
    const dovetail::Shape factor = inputs.get(kFactor, "factor");
    if (factor.volume() != 1) expect_volume(factor, num_output_maps);
  }
};
DOVETAIL_READS(QuantizedConvolutionParams, num_output_maps, kernel_size_nd, stride_nd, pre_padding, post_padding,
               padding_mode, dilation_nd, num_groups, low, high)

#endif
