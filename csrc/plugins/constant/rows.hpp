// SPDX-License-Identifier: Apache-2.0
// What the rows of Constant have in common on all devices.
#ifndef DOVETAIL_PLUGINS_CONSTANT_ROWS_HPP
#define DOVETAIL_PLUGINS_CONSTANT_ROWS_HPP

#include "constant.hpp"

constexpr char kConstantTypes[] = "-> f32|f16|bf16|i8|u8|b8|f8|i32|i64";

struct Values {
  const void* data;
  int64_t n;
};

inline Values values_of(const ConstantParams& params) {
  const dt_tensor& weights = *params.weights;
  return {static_cast<const char*>(weights.data) + weights.byte_offset,
          dovetail::detail::volume(weights.shape, weights.ndim)};
}

#endif
