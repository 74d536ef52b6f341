// SPDX-License-Identifier: Apache-2.0
// What the rows of Quantize have in common on all devices.
#ifndef DOVETAIL_PLUGINS_QUANTIZE_ROWS_HPP
#define DOVETAIL_PLUGINS_QUANTIZE_ROWS_HPP

#include "kernels/pointwise/per_channel.hpp"
#include "quantize.hpp"

enum { kX, kScale };

// The scales are float32 or of the floats' type.
constexpr char kQuantizeTypes[] = "f32|f16|bf16|f16|bf16 f32|f16|bf16|f32|f32 -> i8|i8|i8|i8|i8";

inline dovetail::ParameterLayout layout_of(const QuantizeParams& params, const dovetail::Tensor& x,
                                           const dovetail::Tensor& scale) {
  return dovetail::quantization_layout(static_cast<int32_t>(x.format()), x.dims(), x.rank(), params.axis,
                                       scale.volume());
}

inline dovetail::ParameterLayout layout_of(const QuantizeParams& params, const dovetail::Descs& inputs) {
  const dovetail::Desc x = inputs[kX];
  return dovetail::quantization_layout(static_cast<int32_t>(x.format()), x.max(), x.rank(), params.axis,
                                       inputs[kScale].max_volume());
}

inline const char* fits_quantize(const QuantizeParams& params, const dovetail::Descs& inputs, const dovetail::Descs&) {
  layout_of(params, inputs);  // throws the reason
  return nullptr;
}

#endif
