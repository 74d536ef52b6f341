// SPDX-License-Identifier: Apache-2.0
// Floats to INT8 with a scale, for every device: to the nearest, ties to even; NaN becomes 0.
#ifndef DOVETAIL_KERNELS_CONVERSION_QUANTIZE_HPP
#define DOVETAIL_KERNELS_CONVERSION_QUANTIZE_HPP

#include "kernels/simd/math.hpp"

namespace DT_ISA {
namespace {

// v is x / scale.
DOVETAIL_HOST_DEVICE inline int8_t quantize_one(float v) {
  v = v == v ? v : 0.0f;
  return static_cast<int8_t>(static_cast<int32_t>(round_even_f(clamp_nan(v, -128.0f, 127.0f))));
}

}  // namespace
}  // namespace DT_ISA

#endif
