// SPDX-License-Identifier: Apache-2.0
// Conversion of a tensor's elements to another type, for every pair of types.
#include "conversions.hpp"
#include "kernels/conversion/cuda_rows.hpp"
#include "kernels/pointwise/cuda_by_channel.cuh"

using namespace dovetail;

namespace {

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

struct Convert {
  template <int n, class X, class Y>
  __device__ void operator()(const X (&x)[n], Y (&y)[n], const Channels&, const uint32_t (&)[n]) const {
#pragma unroll
    for (int j = 0; j < n; ++j) convert(widened(x[j]), &y[j]);
  }
};

template <class X>
void from(const Run& run, const ParameterLayout& layout) {
  const Tensor x = run.input(0), y = run.output(0);
  const auto to = [&](auto t) {
    map_by_channel(run, "convert", x.data<const X>(), y.data<decltype(t)>(), layout, Convert());
  };
  switch (y.type()) {
    case DataType::kFLOAT:
      return to(float());
    case DataType::kHALF:
      return to(__half());
    case DataType::kBF16:
      return to(__nv_bfloat16());
    case DataType::kINT8:
      return to(int8_t());
    case DataType::kUINT8:
      return to(uint8_t());
    case DataType::kBOOL:
      return to(Bool());
    case DataType::kINT32:
      return to(int32_t());
    default:
      return to(int64_t());
  }
}

}  // namespace

void dovetail::enqueue_conversion(const Run& run) {
  const Tensor x = run.input(0), y = run.output(0);
  const ParameterLayout layout = one_parameter(static_cast<int32_t>(x.format()), x.dims(), x.rank());
  if (x.type() == y.type()) {
    return with_width_of(x.type(), [&](auto t) {
      map_by_channel(run, "convert", x.data<const decltype(t)>(), y.data<decltype(t)>(), layout, CopyElements());
    });
  }
  switch (x.type()) {
    case DataType::kFLOAT:
      return from<float>(run, layout);
    case DataType::kHALF:
      return from<__half>(run, layout);
    case DataType::kBF16:
      return from<__nv_bfloat16>(run, layout);
    case DataType::kINT8:
      return from<int8_t>(run, layout);
    case DataType::kINT32:
      return from<int32_t>(run, layout);
    case DataType::kINT64:
      return from<int64_t>(run, layout);
    default:  // BOOL is read as the byte that it is
      return from<uint8_t>(run, layout);
  }
}
