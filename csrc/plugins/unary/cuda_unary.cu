// SPDX-License-Identifier: Apache-2.0
// Unary@1#cuda. The functions are CUDA's own in full precision: within 4 units in the last place.
#include "kernels/pointwise/cuda_by_channel.cuh"
#include "rows.hpp"

using namespace dovetail;

namespace {

using DT_ISA::sign_u;

__device__ inline float exp_u(float v) { return expf(v); }
__device__ inline float log_u(float v) { return logf(v); }
__device__ inline float sqrt_u(float v) { return sqrtf(v); }
__device__ inline float abs_u(float v) { return fabsf(v); }
__device__ inline float sin_u(float v) { return sinf(v); }
__device__ inline float cos_u(float v) { return cosf(v); }
__device__ inline float tan_u(float v) { return tanf(v); }
__device__ inline float sinh_u(float v) { return sinhf(v); }
__device__ inline float cosh_u(float v) { return coshf(v); }
__device__ inline float asin_u(float v) { return asinf(v); }
__device__ inline float acos_u(float v) { return acosf(v); }
__device__ inline float atan_u(float v) { return atanf(v); }
__device__ inline float asinh_u(float v) { return asinhf(v); }
__device__ inline float acosh_u(float v) { return acoshf(v); }
__device__ inline float atanh_u(float v) { return atanhf(v); }
__device__ inline float ceil_u(float v) { return ceilf(v); }
__device__ inline float floor_u(float v) { return floorf(v); }
__device__ inline float erf_u(float v) { return erff(v); }
__device__ inline float round_u(float v) { return rintf(v); }

struct Function {
  int32_t kind;

  template <int n, class T>
  __device__ void operator()(const T (&x)[n], T (&y)[n], const Channels&, const uint32_t (&)[n]) const {
    switch (kind) {
#define UNARY_CASE(name, expression)                \
  case name:                                        \
    _Pragma("unroll") for (int j = 0; j < n; ++j) { \
      const float v = to_float(x[j]);               \
      y[j] = float_to<T>(expression);               \
    }                                               \
    return;
      DOVETAIL_UNARY_FUNCTIONS(UNARY_CASE)
      DOVETAIL_UNARY_ANGLES(UNARY_CASE)
#undef UNARY_CASE
    }
  }
};

struct IntegerFunction {
  int32_t kind;

  template <int n, class T>
  __device__ void operator()(const T (&x)[n], T (&y)[n], const Channels&, const uint32_t (&)[n]) const {
#pragma unroll
    for (int j = 0; j < n; ++j) {
      y[j] = kind == kAbs   ? DT_ISA::IntegerAbs<T>::of(x[j])
             : kind == kNeg ? DT_ISA::IntegerNeg<T>::of(x[j])
                            : DT_ISA::IntegerSign<T>::of(x[j]);
    }
  }
};

struct Not {
  template <int n>
  __device__ void operator()(const uint8_t (&x)[n], uint8_t (&y)[n], const Channels&, const uint32_t (&)[n]) const {
#pragma unroll
    for (int j = 0; j < n; ++j) y[j] = DT_ISA::LogicalNot<uint8_t>::of(x[j]);
  }
};

struct Question {
  int32_t kind;

  template <int n, class T>
  __device__ void operator()(const T (&x)[n], uint8_t (&y)[n], const Channels&, const uint32_t (&)[n]) const {
#pragma unroll
    for (int j = 0; j < n; ++j) {
      const float v = to_float(x[j]);
      y[j] = kind == kIsinf ? DT_ISA::is_inf(v) : DT_ISA::is_nan(v);
    }
  }
};

void enqueue(const UnaryParams& params, const Run& run) {
  const Tensor x = run.input(0), y = run.output(0);
  const ParameterLayout layout = one_parameter(static_cast<int32_t>(x.format()), x.dims(), x.rank());
  const auto map = [&](auto from, auto to, const auto& function) {
    map_by_channel(run, "unary", x.data<const decltype(from)>(), y.data<decltype(to)>(), layout, function);
  };
  const auto map_floats = [&](auto t) {
    typedef decltype(t) T;
    with_ending(run, [&](const auto& end) {
      map_by_channel(run, "unary", x.data<const T>(), y.data<T>(), layout, Function{params.op}, end);
    });
  };
  const IntegerFunction of_integers = {params.op};
  switch (x.type()) {
    case DataType::kINT32:
      return map(int32_t(), int32_t(), of_integers);
    case DataType::kINT64:
      return map(int64_t(), int64_t(), of_integers);
    case DataType::kINT8:
      return map(int8_t(), int8_t(), of_integers);
    case DataType::kBOOL:
      return map(uint8_t(), uint8_t(), Not());
    default:
      break;
  }
  with_float_type(x.type(), [&](auto t) {
    if (y.type() == DataType::kBOOL) return map(t, uint8_t(), Question{params.op});
    map_floats(t);
  });
}

#define UNARY_ROW(format, types_, suffix, more, absorb_) \
  {.tactic = format suffix,                              \
   .needs = kBuiltSm,                                    \
   .types = types_,                                      \
   .formats = format " -> " format,                      \
   .fits = fits_unary,                                   \
   .enqueue = enqueue,                                   \
   .traits = kCaptureSafe | more,                        \
   .absorb = absorb_},
#define UNARY_ROWS(unused, format)                                           \
  UNARY_ROW(format, kUnaryFloats, "", kInPlace, absorb_on_cuda<UnaryParams>) \
  UNARY_ROW(format, kUnaryIntegers, "_integer", kInPlace, nullptr)           \
  UNARY_ROW(format, kUnaryQuestions, "_bool", uint32_t{0}, nullptr)

constexpr Row<UnaryParams> kRows[] = {DOVETAIL_EACH_FORMAT(UNARY_ROWS, 0)};

}  // namespace

DOVETAIL_IMPLEMENTS("Unary@1#cuda", UnaryParams, kRows)
