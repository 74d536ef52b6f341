// SPDX-License-Identifier: Apache-2.0
// What the tiled kernels of matrix products share: which tile is a block's, and how sums leave it.
#ifndef DOVETAIL_KERNELS_GEMM_CUDA_GEMM_CUH
#define DOVETAIL_KERNELS_GEMM_CUDA_GEMM_CUH

#include "kernels/cuda/ptx.cuh"
#include "kernels/gemm/cuda_rows.hpp"

DOVETAIL_OPEN_NAMESPACE
namespace cuda_gemm {

using DT_ISA::gemm_offset;

__device__ __forceinline__ float bias_at(const GemmArgs& args, int64_t n) {
  if (args.bias == nullptr) return 0.0f;
  const int64_t at = n * args.bias_step;
  if (args.bias_type == DT_TYPE_FLOAT) return static_cast<const float*>(args.bias)[at];
  if (args.bias_type == DT_TYPE_HALF) return __half2float(static_cast<const __half*>(args.bias)[at]);
  return __bfloat162float(static_cast<const __nv_bfloat16*>(args.bias)[at]);
}

struct Block {
  int64_t batch, m, n;  // the first row and column of its tile
};

// Tiles of n follow each other, so that blocks that run together read the same rows of a.
__device__ __forceinline__ Block block_at(const CudaGemm& args, int rows, int columns) {
  const int64_t rest = blockIdx.x / args.n_tiles;
  return {rest / args.m_tiles, rest % args.m_tiles * rows, blockIdx.x % args.n_tiles * columns};
}

}  // namespace cuda_gemm
DOVETAIL_CLOSE_NAMESPACE

#endif
