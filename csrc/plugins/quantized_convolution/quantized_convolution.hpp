// SPDX-License-Identifier: Apache-2.0
// A convolution of x - x_zero, of 8 bits, with an int8 kernel, in int32; or that times a factor
//   inputs   x; kernel [K, C / groups, taps]; bias [K], in float32 where y is, else in int32; x_zero, one value; factor,
//            one value or [K]; y_zero, one value; kernel_zero, one value or [K]; addend, of y's dims and type
//   padding  as Convolution has it; elements outside of x are x_zero
//   numerics sums modulo 2^32; times factor in float32. int8 and uint8: to nearest, ties to even, plus y_zero, limited
//   addition where there is an addend, the y of above, less its zero point, times by_own, plus the addend, less its zero
//            point, times by_addend: to nearest, plus sum_zero, limited to sum_low and sum_high
//   packing  a constant kernel is packed while building, another one in each run
#ifndef DOVETAIL_PLUGINS_QUANTIZED_CONVOLUTION_QUANTIZED_CONVOLUTION_HPP
#define DOVETAIL_PLUGINS_QUANTIZED_CONVOLUTION_QUANTIZED_CONVOLUTION_HPP

#include "kernels/convolve/fields.hpp"

struct QuantizedConvolutionParams : dovetail::ConvolveParams {
  enum { kX, kKernel, kBias, kXZero, kFactor, kYZero, kKernelZero, kAddend };
  int64_t low = -128, high = 255;
  double by_own = 1, by_addend = 1;
  int64_t addend_zero = 0, sum_zero = 0, sum_low = -128, sum_high = 255;

  dovetail::ConvolveFields fields() const { return dovetail::convolve_fields(*this, false); }
  void check_fields() const {
    dovetail::check_convolve_fields(*this);
    dovetail::expect_field("low", low, -128, 255);
    dovetail::expect_field("high", high, low, 255);
    dovetail::expect_field("addend_zero", addend_zero, -128, 255);
    dovetail::expect_field("sum_zero", sum_zero, -128, 255);
    dovetail::expect_field("sum_low", sum_low, -128, 255);
    dovetail::expect_field("sum_high", sum_high, sum_low, 255);
  }
  void check_shapes(const dovetail::Shapes& inputs, const dovetail::Shapes& outputs) const {
    dovetail::check_convolve_shapes(fields(), inputs, outputs);
    if (inputs.has(kXZero)) expect_volume(inputs.get(kXZero, "x_zero"), 1);
    if (inputs.has(kYZero)) expect_volume(inputs.get(kYZero, "y_zero"), 1);
    check_vector(inputs, kKernelZero, "kernel_zero");
    if (inputs.has(kAddend)) expect_same_dims(inputs.get(kAddend, "addend"), outputs.get(0, "y"));
    if (outputs.get(0, "y").type() == dovetail::DataType::kINT32) return;
    inputs.get(kFactor, "factor");
    check_vector(inputs, kFactor, "factor");
  }
  void check_vector(const dovetail::Shapes& inputs, int i, const char* name) const {
    if (!inputs.has(i)) return;
    const dovetail::Shape given = inputs.get(i, name);
    if (given.volume() != 1) expect_volume(given, num_output_maps);
  }
};
DOVETAIL_READS(QuantizedConvolutionParams, DOVETAIL_CONVOLVE_MEMBERS, low, high, by_own, by_addend, addend_zero,
               sum_zero, sum_low, sum_high)

#endif
