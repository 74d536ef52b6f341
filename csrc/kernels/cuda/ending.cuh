// SPDX-License-Identifier: Apache-2.0
// Computes a CudaEnding on results in registers.
#ifndef DOVETAIL_KERNELS_CUDA_ENDING_CUH
#define DOVETAIL_KERNELS_CUDA_ENDING_CUH

#include "dovetail/cuda.hpp"
#include "dovetail/epilogue.cuh"
#include "kernels/cuda/ending.hpp"

DOVETAIL_OPEN_NAMESPACE

// Elements where(i) of a tensor of any float type for those i that has(i), else 0. The type is tested before all loads,
// so that they are under way together.
template <int n, class Has, class Where>
__device__ __forceinline__ void load_each(const void* data, int32_t type, const Has& has, const Where& where,
                                          float (&to)[n]) {
  const auto load = [&](auto element) {
    const auto* const from = static_cast<const decltype(element)*>(data);
#pragma unroll
    for (int i = 0; i < n; ++i) to[i] = has(i) ? to_float(from[where(i)]) : 0.0f;
  };
  if (type == DT_TYPE_FLOAT) {
    load(float());
  } else if (type == DT_TYPE_HALF) {
    load(__half());
  } else {
    load(__nv_bfloat16());
  }
}

// The elements of a tensor that belong to these results (see apply_epilogue) as float32; 0 where there is no result.
template <class T, int n, class At>
__device__ __forceinline__ void load_residual(const void* residual, const At& results, float (&to)[n]) {
  const T* const from = static_cast<const T*>(residual);
  if (At::kAreNeighbours && results.has(n - 1) &&
      reinterpret_cast<uintptr_t>(from + results.offset(0)) % kPieceBytes<T, n> == 0) {
    T elements[n];
    load_pack<n>(from + results.offset(0), elements);
#pragma unroll
    for (int i = 0; i < n; ++i) to[i] = to_float(elements[i]);
    return;
  }
#pragma unroll
  for (int i = 0; i < n; ++i) to[i] = results.has(i) ? to_float(from[results.offset(i)]) : 0.0f;
}

// The sum and the limits. What is left to do then is ending.program.
template <int n, class At>
__device__ __forceinline__ void begin_ending(const CudaEnding& ending, const At& results, float (&v)[n]) {
  if (ending.residual != nullptr) {
    float residual[n];
    if (ending.residual_type == DT_TYPE_FLOAT) {
      load_residual<float>(ending.residual, results, residual);
    } else if (ending.residual_type == DT_TYPE_HALF) {
      load_residual<__half>(ending.residual, results, residual);
    } else {
      load_residual<__nv_bfloat16>(ending.residual, results, residual);
    }
#pragma unroll
    for (int i = 0; i < n; ++i) v[i] += residual[i];
  }
#pragma unroll
  for (int i = 0; i < n; ++i) {
    v[i] = v[i] < ending.low ? ending.low : v[i];  // not of nan
    v[i] = v[i] > ending.high ? ending.high : v[i];
  }
}

DOVETAIL_CLOSE_NAMESPACE

#endif
