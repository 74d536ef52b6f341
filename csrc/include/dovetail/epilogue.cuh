// SPDX-License-Identifier: Apache-2.0
// Applies an epilogue to one result in a register, inside a CUDA kernel that takes the program by value:
//
//   __global__ void kernel(Args args, EpilogueProgram program) {
//     ...
//     y[offset] = dovetail::apply_epilogue(program, sum, offset, image, channel);
//
// All threads of a block run the same steps, so they do not diverge; of SELECT, both operands are computed. At most
// four values are needed at once, and they stay in registers. The program is interpreted: a step costs some tens of
// instructions, so kernels that have several results in registers give them together.
#ifndef DOVETAIL_EPILOGUE_CUH
#define DOVETAIL_EPILOGUE_CUH

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <stddef.h>

#include "dovetail/epilogue_program.h"

namespace dovetail {
inline namespace v1 {
namespace detail {

// Elements of an operand, of type T as it lies in memory, as float32.
__device__ __forceinline__ float epilogue_element(float v) { return v; }
__device__ __forceinline__ float epilogue_element(__half v) { return __half2float(v); }
__device__ __forceinline__ float epilogue_element(__nv_bfloat16 v) { return __bfloat162float(v); }
__device__ __forceinline__ float epilogue_element(uint8_t v) { return v != 0 ? 1.0f : 0.0f; }

template <class T, int n>
struct alignas(n * sizeof(T) <= 16 ? n * sizeof(T) : sizeof(T)) EpiloguePack {
  T v[n];
};

// The elements at `at`, all loaded before the first is used. `are_neighbours`: they follow the first one.
template <class T, int n>
__device__ __forceinline__ void load_epilogue_elements(const void* data, const int64_t (&at)[n], bool are_neighbours,
                                                       float (&to)[n]) {
  using Pack = EpiloguePack<T, n>;
  const T* const from = static_cast<const T*>(data);
  Pack pack;
  if (are_neighbours && reinterpret_cast<uintptr_t>(from + at[0]) % alignof(Pack) == 0) {
    pack = *reinterpret_cast<const Pack*>(from + at[0]);
  } else {
#pragma unroll
    for (int i = 0; i < n; ++i) {
      if (at[i] >= 0) pack.v[i] = from[at[i]];
    }
  }
#pragma unroll
  for (int i = 0; i < n; ++i) to[i] = at[i] >= 0 ? epilogue_element(pack.v[i]) : 0.0f;
}

// The element of an operand, number `number` of the program's tensors, for result i; see apply_epilogue.
template <class At>
__device__ __forceinline__ int64_t epilogue_place(const At& results, const EpilogueOperand& tensor, int, int i) {
  if (tensor.form == kEpilogueOne) return 0;
  if (tensor.form == kEpilogueWhole) return results.offset(i);
  const int64_t of_image = tensor.image_step != 0 ? results.image(i) * tensor.image_step : 0;
  return of_image + (tensor.channel_step != 0 ? results.channel(i) * tensor.channel_step : 0);
}

// An operand for n results.
template <int n, class At>
__device__ __forceinline__ void load_epilogue_operand(const EpilogueOperand& tensor, int number, const At& results,
                                                      float (&to)[n]) {
  const bool is_whole = tensor.form == kEpilogueWhole;
  int64_t at[n];
#pragma unroll
  for (int i = 0; i < n; ++i) at[i] = results.has(i) ? epilogue_place(results, tensor, number, i) : -1;
  const bool are_neighbours = At::kAreNeighbours && is_whole && results.has(n - 1);
  switch (tensor.type) {
    case DT_TYPE_FLOAT:
      return load_epilogue_elements<float>(tensor.data, at, are_neighbours, to);
    case DT_TYPE_HALF:
      return load_epilogue_elements<__half>(tensor.data, at, are_neighbours, to);
    case DT_TYPE_BF16:
      return load_epilogue_elements<__nv_bfloat16>(tensor.data, at, are_neighbours, to);
    default:
      return load_epilogue_elements<uint8_t>(tensor.data, at, are_neighbours, to);
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

// One operation on one value. A call of its own: it has the code of all functions.
static __device__ __noinline__ float epilogue_step(int operation, int32_t data_type, float a, float b, float c) {
  switch (operation) {
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
      return epilogue_cast(a, data_type);
  }
}

// A step in registers, loaded at once: fields that were loaded one by one would be waited for one by one.
struct EpilogueStepWords {
  static_assert(sizeof(EpilogueStep) == 28 && offsetof(EpilogueStep, data_type) == 12,
                "the fields are where they are read");
  uint32_t word[7];
  __device__ __forceinline__ explicit EpilogueStepWords(const EpilogueStep& step) {
#pragma unroll
    for (int i = 0; i < 7; ++i) word[i] = reinterpret_cast<const uint32_t*>(&step)[i];
  }
  __device__ __forceinline__ int operation() const { return static_cast<int>(word[0] & 0xffff); }
  __device__ __forceinline__ int to() const { return static_cast<int>(word[0] >> 16 & 0xff); }
  __device__ __forceinline__ int n_operands() const { return static_cast<int>(word[0] >> 24); }
  __device__ __forceinline__ int kind(int k) const { return static_cast<int>(word[1] >> 8 * k & 0xff); }
  __device__ __forceinline__ int index(int k) const {
    return static_cast<int>(k == 0 ? word[1] >> 24 : word[2] >> 8 * (k - 1) & 0xff);
  }
  __device__ __forceinline__ float constant(int k) const {
    return __uint_as_float(k == 0 ? word[4] : k == 1 ? word[5] : word[6]);
  }
  __device__ __forceinline__ int32_t data_type() const { return static_cast<int32_t>(word[3]); }
};

// One operation on n values; a may be the result. What is quick is computed here, for all values at once.
template <int n>
__device__ __forceinline__ void epilogue_steps(const EpilogueStepWords& step, float (&a)[n], const float (&b)[n],
                                               const float (&c)[n]) {
#define DT_EPILOGUE_EACH(name, value)                             \
  case DT_STEP_##name:                                            \
    _Pragma("unroll") for (int i = 0; i < n; ++i) a[i] = (value); \
    return;
  const int operation = step.operation();
  switch (operation) {
    DT_EPILOGUE_EACH(ADD, a[i] + b[i])
    DT_EPILOGUE_EACH(SUB, a[i] - b[i])
    DT_EPILOGUE_EACH(MUL, a[i] * b[i])
    DT_EPILOGUE_EACH(MIN, a[i] < b[i] || a[i] != a[i] ? a[i] : b[i])
    DT_EPILOGUE_EACH(MAX, a[i] > b[i] || a[i] != a[i] ? a[i] : b[i])
    DT_EPILOGUE_EACH(GREATER, a[i] > b[i] ? 1.0f : 0.0f)
    DT_EPILOGUE_EACH(GREATER_EQUAL, a[i] >= b[i] ? 1.0f : 0.0f)
    DT_EPILOGUE_EACH(SELECT, a[i] != 0.0f ? b[i] : c[i])
    default:
      break;
  }
#undef DT_EPILOGUE_EACH
  const int32_t data_type = step.data_type();
  if (operation == DT_STEP_CAST && data_type != DT_TYPE_INT8 && data_type != DT_TYPE_BOOL) return;
#pragma unroll
  for (int i = 0; i < n; ++i) a[i] = epilogue_step(operation, data_type, a[i], b[i], c[i]);
}

// One result.
struct EpilogueResult {
  static constexpr bool kAreNeighbours = false;
  int64_t offset_, image_, channel_;
  __device__ __forceinline__ bool has(int) const { return true; }
  __device__ __forceinline__ int64_t offset(int) const { return offset_; }
  __device__ __forceinline__ int64_t image(int) const { return image_; }
  __device__ __forceinline__ int64_t channel(int) const { return channel_; }
};

}  // namespace detail

// Applies the program to n results, 4 at most lest registers run out, and leaves the values to store in their place:
// each step is read once for all of them. `results` says of each whether it is there at all (has(i), false only behind
// the last one that is), its offset(i), position in the output's memory in elements, and its image(i) and channel(i),
// which are asked only if an operand needs them. At::kAreNeighbours: offsets follow each other. A kernel that reads
// operands of other forms has an epilogue_place beside its At that says where their elements are.
template <int n, class At>
__device__ __forceinline__ void apply_epilogue(const EpilogueProgram& program, float (&v)[n], const At& results) {
  static_assert(kEpilogueRegisters == 4, "as many as there are here");
  float r1[n] = {}, r2[n] = {}, r3[n] = {};  // not an array of arrays: one that is indexed is kept in memory
  float (&r0)[n] = v;
  float a[n] = {};
  const int n_steps = program.n_steps;
  detail::EpilogueStepWords step(program.steps[0]);
#pragma unroll 1
  for (int s = 0; s < n_steps; ++s) {
    const detail::EpilogueStepWords next(program.steps[s + 1 < n_steps ? s + 1 : 0]);
    float b[n] = {}, c[n] = {};
#pragma unroll 1
    for (int k = step.n_operands() - 1; k >= 0; --k) {
      const int kind = step.kind(k), index = step.index(k);
#pragma unroll
      for (int i = 0; i < n; ++i) c[i] = b[i], b[i] = a[i];
      if (kind == kEpilogueTensor) {
        detail::load_epilogue_operand(program.tensors[index], index, results, a);
      } else {
        const float constant = step.constant(k);
#pragma unroll
        for (int i = 0; i < n; ++i) {
          a[i] = kind == kEpilogueConstant ? constant
                 : index == 0              ? r0[i]
                 : index == 1              ? r1[i]
                 : index == 2              ? r2[i]
                                           : r3[i];
        }
      }
    }
    detail::epilogue_steps(step, a, b, c);
    const int to = step.to();
    step = next;
#pragma unroll
    for (int i = 0; i < n; ++i) {
      r0[i] = to == 0 ? a[i] : r0[i];
      r1[i] = to == 1 ? a[i] : r1[i];
      r2[i] = to == 2 ? a[i] : r2[i];
      r3[i] = to == 3 ? a[i] : r3[i];
    }
  }
  if (n_steps > 0) {
#pragma unroll
    for (int i = 0; i < n; ++i) v[i] = a[i];
  }
}

// The same for one result. Returns the value to store.
__device__ __forceinline__ float apply_epilogue(const EpilogueProgram& program, float v, int64_t offset, int64_t image,
                                                int64_t channel) {
  float values[1] = {v};
  apply_epilogue(program, values, detail::EpilogueResult{offset, image, channel});
  return values[0];
}

}  // namespace v1
}  // namespace dovetail

#endif
