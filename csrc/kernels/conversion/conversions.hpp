// SPDX-License-Identifier: Apache-2.0
// Floats to integers: the fraction is dropped, values out of range become the nearest limit, NaN becomes 0.
#ifndef DOVETAIL_KERNELS_CONVERSION_CONVERSIONS_HPP
#define DOVETAIL_KERNELS_CONVERSION_CONVERSIONS_HPP

#include "dovetail/detail/host_device.hpp"
#include "kernels/simd/vec.hpp"

namespace DT_ISA {
namespace {

template <class T>
DOVETAIL_HOST_DEVICE inline T limit(float v, float low, float high, T lowest, T highest) {  // low, high: exact floats
  if (!(v == v)) return 0;
  return v <= low ? lowest : v >= high ? highest : static_cast<T>(v);
}

DOVETAIL_HOST_DEVICE inline int8_t to_int8(float v) {
  return static_cast<int8_t>(limit<int32_t>(v, -128.0f, 127.0f, -128, 127));
}
DOVETAIL_HOST_DEVICE inline uint8_t to_uint8(float v) {
  return static_cast<uint8_t>(limit<int32_t>(v, 0.0f, 255.0f, 0, 255));
}
DOVETAIL_HOST_DEVICE inline int32_t to_int32(float v) {
  return limit<int32_t>(v, -2147483648.0f, 2147483648.0f, INT32_MIN, INT32_MAX);
}
DOVETAIL_HOST_DEVICE inline int64_t to_int64(float v) {
  return limit<int64_t>(v, -9223372036854775808.0f, 9223372036854775808.0f, INT64_MIN, INT64_MAX);
}

}  // namespace
}  // namespace DT_ISA

#endif
