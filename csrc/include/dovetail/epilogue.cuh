// SPDX-License-Identifier: Apache-2.0
// Applies an epilogue to one result in a register, inside a CUDA kernel that takes the program by value:
//
//   __global__ void kernel(Args args, EpilogueProgram program) {
//     ...
//     y[offset] = dovetail::apply_epilogue(program, sum, offset, image, channel);
//
// All threads of a block run the same steps, so they do not diverge; of SELECT, both operands are computed. At most
// four values are needed at once, and they stay in registers. The program is interpreted: a step costs a few
// instructions for each result, which is cheap compared with the memory traffic of a separate layer.
#ifndef DOVETAIL_EPILOGUE_CUH
#define DOVETAIL_EPILOGUE_CUH

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include "dovetail/epilogue_program.h"

namespace dovetail {
inline namespace v1 {
namespace detail {

__device__ __forceinline__ float epilogue_operand(const EpilogueOperand& tensor, int64_t offset, int64_t image,
                                                  int64_t channel) {
  const int64_t at = tensor.form == kEpilogueWhole ? offset
                     : tensor.form == kEpilogueOne ? 0
                                                   : image * tensor.image_step + channel * tensor.channel_step;
  switch (tensor.type) {
    case DT_TYPE_FLOAT:
      return static_cast<const float*>(tensor.data)[at];
    case DT_TYPE_HALF:
      return __half2float(static_cast<const __half*>(tensor.data)[at]);
    case DT_TYPE_BF16:
      return __bfloat162float(static_cast<const __nv_bfloat16*>(tensor.data)[at]);
    default:
      return static_cast<const uint8_t*>(tensor.data)[at] != 0 ? 1.0f : 0.0f;
  }
}

__device__ __forceinline__ float epilogue_cast(float v, int32_t type) {
  if (type == DT_TYPE_BOOL) return v != 0.0f ? 1.0f : 0.0f;
  if (type != DT_TYPE_INT8) return v;
  return v != v ? 0.0f : fminf(fmaxf(truncf(v), -128.0f), 127.0f);
}

__device__ __forceinline__ float epilogue_mod(float a, float b) {
  const float rest = fmodf(a, b);
  if (rest == 0.0f) return copysignf(rest, b);
  return (rest < 0.0f) != (b < 0.0f) ? rest + b : rest;
}

__device__ __forceinline__ float epilogue_step(const EpilogueStep& step, float a, float b, float c) {
  switch (step.operation) {
    case DT_STEP_ADD:
      return a + b;
    case DT_STEP_SUB:
      return a - b;
    case DT_STEP_MUL:
      return a * b;
    case DT_STEP_DIV:
      return a / b;
    case DT_STEP_FLOOR_DIV:
      return floorf(a / b);
    case DT_STEP_MOD:
      return epilogue_mod(a, b);
    case DT_STEP_FMOD:
      return fmodf(a, b);
    case DT_STEP_POW:
      return powf(a, b);
    case DT_STEP_MIN:
      return a < b || a != a ? a : b;
    case DT_STEP_MAX:
      return a > b || a != a ? a : b;
    case DT_STEP_EQUAL:
      return a == b ? 1.0f : 0.0f;
    case DT_STEP_NOT_EQUAL:
      return a != b ? 1.0f : 0.0f;
    case DT_STEP_LESS:
      return a < b ? 1.0f : 0.0f;
    case DT_STEP_LESS_EQUAL:
      return a <= b ? 1.0f : 0.0f;
    case DT_STEP_GREATER:
      return a > b ? 1.0f : 0.0f;
    case DT_STEP_GREATER_EQUAL:
      return a >= b ? 1.0f : 0.0f;
    case DT_STEP_AND:
      return a != 0.0f && b != 0.0f ? 1.0f : 0.0f;
    case DT_STEP_OR:
      return a != 0.0f || b != 0.0f ? 1.0f : 0.0f;
    case DT_STEP_NOT:
      return a != 0.0f ? 0.0f : 1.0f;
    case DT_STEP_SELECT:
      return a != 0.0f ? b : c;
    case DT_STEP_NEG:
      return -a;
    case DT_STEP_ABS:
      return fabsf(a);
    case DT_STEP_SIGN:
      return a > 0.0f ? 1.0f : a < 0.0f ? -1.0f : a;
    case DT_STEP_CEIL:
      return ceilf(a);
    case DT_STEP_FLOOR:
      return floorf(a);
    case DT_STEP_ROUND:
      return rintf(a);
    case DT_STEP_SQRT:
      return sqrtf(a);
    case DT_STEP_EXP:
      return expf(a);
    case DT_STEP_EXPM1:
      return expm1f(a);
    case DT_STEP_LOG:
      return logf(a);
    case DT_STEP_LOG1P:
      return log1pf(a);
    case DT_STEP_SIGMOID:
      return 1.0f / (1.0f + expf(-a));
    case DT_STEP_SOFTPLUS:
      return (a > 0.0f ? a : 0.0f) + log1pf(expf(-fabsf(a))) + (a != a ? a : 0.0f);
    case DT_STEP_TANH:
      return tanhf(a);
    case DT_STEP_ERF:
      return erff(a);
    case DT_STEP_SIN:
      return sinf(a);
    case DT_STEP_COS:
      return cosf(a);
    case DT_STEP_TAN:
      return tanf(a);
    case DT_STEP_ASIN:
      return asinf(a);
    case DT_STEP_ACOS:
      return acosf(a);
    case DT_STEP_ATAN:
      return atanf(a);
    case DT_STEP_SINH:
      return sinhf(a);
    case DT_STEP_COSH:
      return coshf(a);
    case DT_STEP_ASINH:
      return asinhf(a);
    case DT_STEP_ACOSH:
      return acoshf(a);
    case DT_STEP_ATANH:
      return atanhf(a);
    default:
      return epilogue_cast(a, step.data_type);
  }
}

}  // namespace detail

// Applies the program to the result `v` and returns the value to store. `offset` is the position of the result in the
// output's memory, in elements; `image` and `channel` are those of the result.
__device__ __forceinline__ float apply_epilogue(const EpilogueProgram& program, float v, int64_t offset, int64_t image,
                                                int64_t channel) {
  float r0 = v, r1 = 0.0f, r2 = 0.0f, r3 = 0.0f;  // not an array: an array that is indexed is kept in memory
  static_assert(kEpilogueRegisters == 4, "as many as there are here");
  for (int s = 0; s < program.n_steps; ++s) {
    const EpilogueStep& step = program.steps[s];
    const auto operand = [&](int k) {
      const int index = step.index[k];
      if (step.kind[k] == kEpilogueConstant) return step.constant[k];
      if (step.kind[k] == kEpilogueTensor)
        return detail::epilogue_operand(program.tensors[index], offset, image, channel);
      return index == 0 ? r0 : index == 1 ? r1 : index == 2 ? r2 : r3;
    };
    const float a = operand(0), b = step.n_operands > 1 ? operand(1) : 0.0f,
                c = step.n_operands > 2 ? operand(2) : 0.0f;
    v = detail::epilogue_step(step, a, b, c);
    r0 = step.to == 0 ? v : r0;
    r1 = step.to == 1 ? v : r1;
    r2 = step.to == 2 ? v : r2;
    r3 = step.to == 3 ? v : r3;
  }
  return v;
}

}  // namespace v1
}  // namespace dovetail

#endif
