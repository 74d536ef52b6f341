// SPDX-License-Identifier: Apache-2.0
// What the rows of ParametricReLU have in common on all devices.
#ifndef DOVETAIL_PLUGINS_PARAMETRIC_RELU_ROWS_HPP
#define DOVETAIL_PLUGINS_PARAMETRIC_RELU_ROWS_HPP

#include "formula.hpp"
#include "parametric_relu.hpp"

constexpr char kParametricReluTypes[] = "f32|f16|bf16 f32|f16|bf16 -> f32|f16|bf16";

inline const char* fits_parametric_relu(const ParametricReluParams&, const dovetail::Descs& inputs,
                                        const dovetail::Descs&) {
  return dovetail::fits_broadcast(inputs, 2);
}

#endif
