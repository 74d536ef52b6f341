// SPDX-License-Identifier: Apache-2.0
// One element of a type as one of another, on a GPU.
#ifndef DOVETAIL_KERNELS_CONVERSION_CUDA_CONVERT_CUH
#define DOVETAIL_KERNELS_CONVERSION_CUDA_CONVERT_CUH

#include <type_traits>

#include "dovetail/cuda.hpp"
#include "kernels/conversion/conversions.hpp"
#include "kernels/conversion/quantize.hpp"

DOVETAIL_OPEN_NAMESPACE

struct Bool {  // stored as one byte, 0 or 1
  uint8_t v;
};

// From a float, and from an integer.
template <class Y, class X>
__device__ inline void convert(X x, Y* y) {
  *y = static_cast<Y>(x);
}
template <class X>
__device__ inline void convert(X x, Bool* y) {
  y->v = x != X(0);
}
template <class X>
__device__ inline void convert(X x, __half* y) {
  *y = float_to<__half>(static_cast<float>(x));
}
template <class X>
__device__ inline void convert(X x, __nv_bfloat16* y) {
  *y = float_to<__nv_bfloat16>(static_cast<float>(x));
}
__device__ inline void convert(float x, int8_t* y) { *y = DT_ISA::to_int8(x); }
__device__ inline void convert(float x, uint8_t* y) { *y = DT_ISA::to_uint8(x); }
__device__ inline void convert(float x, int32_t* y) { *y = DT_ISA::to_int32(x); }
__device__ inline void convert(float x, int64_t* y) { *y = DT_ISA::to_int64(x); }

// Floats of 16 bits go by way of float32.
template <class T>
__device__ inline T widened(T x) {
  return x;
}
__device__ inline float widened(__half x) { return to_float(x); }
__device__ inline float widened(__nv_bfloat16 x) { return to_float(x); }

template <class T>
constexpr bool is_real =
    std::is_same<T, float>::value || std::is_same<T, __half>::value || std::is_same<T, __nv_bfloat16>::value;

// INT8 values mean stored * scale if the other type is a float and the scale is positive.
template <class Y, class X>
__device__ inline Y converted(X x, float scale) {
  Y y;
  if constexpr (std::is_same<X, Y>::value) {
    y = x;
  } else if constexpr (is_real<X> && std::is_same<Y, int8_t>::value) {
    const float v = widened(x);
    y = scale > 0 ? DT_ISA::quantize_one(v / scale) : DT_ISA::to_int8(v);
  } else if constexpr (std::is_same<X, int8_t>::value && is_real<Y>) {
    const float v = static_cast<float>(x);
    convert(scale > 0 ? v * scale : v, &y);
  } else {
    convert(widened(x), &y);
  }
  return y;
}

// f(X(), Y()) for the types of two tensors that are not FP8.
template <class X, class F>
void with_target_type(DataType to, const F& f) {
  switch (to) {
    case DataType::kFLOAT:
      return f(X(), float());
    case DataType::kHALF:
      return f(X(), __half());
    case DataType::kBF16:
      return f(X(), __nv_bfloat16());
    case DataType::kINT8:
      return f(X(), int8_t());
    case DataType::kUINT8:
      return f(X(), uint8_t());
    case DataType::kBOOL:
      return f(X(), Bool());
    case DataType::kINT32:
      return f(X(), int32_t());
    default:
      return f(X(), int64_t());
  }
}

template <class F>
void with_types(DataType own, DataType to, const F& f) {
  switch (own) {
    case DataType::kFLOAT:
      return with_target_type<float>(to, f);
    case DataType::kHALF:
      return with_target_type<__half>(to, f);
    case DataType::kBF16:
      return with_target_type<__nv_bfloat16>(to, f);
    case DataType::kINT8:
      return with_target_type<int8_t>(to, f);
    case DataType::kINT32:
      return with_target_type<int32_t>(to, f);
    case DataType::kINT64:
      return with_target_type<int64_t>(to, f);
    default:  // BOOL is read as the byte that it is
      return with_target_type<uint8_t>(to, f);
  }
}

DOVETAIL_CLOSE_NAMESPACE

#endif
