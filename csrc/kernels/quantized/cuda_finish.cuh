// SPDX-License-Identifier: Apache-2.0
// What becomes of int32 sums of products of integers of 8 bits, one value at a time. For .cu files.
#ifndef DOVETAIL_KERNELS_QUANTIZED_CUDA_FINISH_CUH
#define DOVETAIL_KERNELS_QUANTIZED_CUDA_FINISH_CUH

#include "dovetail/cuda.hpp"

DOVETAIL_OPEN_NAMESPACE

// Integers of 8 bits with one zero point, which may be in device memory.
struct CudaBytes {
  const uint8_t* data;
  const uint8_t* zero;  // null: 0
  bool is_signed;

  __device__ int32_t stored(uint8_t v) const { return is_signed ? static_cast<int8_t>(v) : v; }
  __device__ int32_t zero_point() const { return zero == nullptr ? 0 : stored(*zero); }
  __device__ int32_t operator[](int64_t i) const { return stored(data[i]); }
};

inline CudaBytes cuda_bytes(const Run& run, int input, int zero) {
  const Tensor x = run.input(input);
  return {x.data<const uint8_t>(), zero >= 0 && run.has_input(zero) ? run.input(zero).data<const uint8_t>() : nullptr,
          x.type() == DataType::kINT8};
}

struct CudaFinish {
  void* y;
  int32_t y_type;
  const float *factors, *float_biases;
  const int32_t* biases;
  bool has_factors, has_biases;  // one for each column, not one for all
  const uint8_t* zero;           // of y; null: 0
  int32_t low, high;

  // Stores the element at `at`, of this column.
  __device__ void operator()(int64_t at, int64_t column, uint32_t sum) const {
    if (biases != nullptr) sum += static_cast<uint32_t>(biases[has_biases ? column : 0]);
    const int32_t whole = static_cast<int32_t>(sum);
    if (y_type == DT_TYPE_INT32) {
      static_cast<int32_t*>(y)[at] = whole;
      return;
    }
    const float real = __fmul_rn(static_cast<float>(whole), factors[has_factors ? column : 0]);
    if (y_type == DT_TYPE_FLOAT) {
      static_cast<float*>(y)[at] =
          float_biases == nullptr ? real : __fadd_rn(real, float_biases[has_biases ? column : 0]);
      return;
    }
    const bool is_signed = y_type == DT_TYPE_INT8;
    const int32_t offset = zero == nullptr ? 0 : is_signed ? static_cast<int8_t>(*zero) : *zero;
    const float least = static_cast<float>(low - offset), most = static_cast<float>(high - offset);
    const float above = real > least ? real : least;  // nan becomes the lower limit
    const int32_t steps = __float2int_rn(above < most ? above : most);
    static_cast<uint8_t*>(y)[at] = static_cast<uint8_t>(steps + offset);
  }
};

inline CudaFinish cuda_finish(const Run& run, int factor, int bias, int zero, int64_t low, int64_t high) {
  const Tensor y = run.output(0);
  CudaFinish f = {};
  f.y = y.data<void>();
  f.y_type = static_cast<int32_t>(y.type());
  const bool is_float = y.type() == DataType::kFLOAT;
  if (run.has_input(factor)) {
    f.factors = run.input(factor).data<const float>();
    f.has_factors = run.input(factor).volume() != 1;
  }
  if (run.has_input(bias)) {
    f.has_biases = run.input(bias).volume() != 1;
    (is_float ? static_cast<void>(f.float_biases = run.input(bias).data<const float>())
              : static_cast<void>(f.biases = run.input(bias).data<const int32_t>()));
  }
  if (run.has_input(zero)) f.zero = run.input(zero).data<const uint8_t>();
  const int32_t least = y.type() == DataType::kINT8 ? -128 : 0;
  f.low = static_cast<int32_t>(low > least ? low : least);
  f.high = static_cast<int32_t>(high < least + 255 ? high : least + 255);
  return f;
}

DOVETAIL_CLOSE_NAMESPACE

#endif
