// SPDX-License-Identifier: Apache-2.0
// What the tiled kernels of matrix products share: which tile is a block's, and how sums leave it.
#ifndef DOVETAIL_KERNELS_GEMM_CUDA_GEMM_CUH
#define DOVETAIL_KERNELS_GEMM_CUDA_GEMM_CUH

#include "kernels/cuda/ending.cuh"
#include "kernels/cuda/ptx.cuh"
#include "kernels/gemm/cuda_rows.hpp"

DOVETAIL_OPEN_NAMESPACE
namespace cuda_gemm {

using DT_ISA::gemm_offset;

// The bias of the columns column_of(i), 0 outside.
template <int n, class ColumnOf>
__device__ __forceinline__ void load_bias(const GemmArgs& args, const ColumnOf& column_of, float (&to)[n]) {
#pragma unroll
  for (int i = 0; i < n; ++i) to[i] = 0.0f;
  if (args.bias == nullptr) return;
  load_each(
      args.bias, args.bias_type, [&](int i) { return column_of(i) < args.n.n; },
      [&](int i) { return column_of(i) * args.bias_step; }, to);
}

struct Block {
  int64_t batch, m, n;  // the first row and column of its tile
};

// Tiles of n follow each other, so that blocks that run together read the same rows of a.
__device__ __forceinline__ Block block_at(const CudaGemm& args, int rows, int columns) {
  const int64_t rest = blockIdx.x / args.n_tiles;
  return {rest / args.m_tiles, rest % args.m_tiles * rows, blockIdx.x % args.n_tiles * columns};
}

// Results of one row of y. Their columns ascend: the first `count` are there.
template <int n>
struct Results {
  static constexpr bool kAreNeighbours = false;
  const CudaGemm& args;
  int64_t row;
  const int64_t (&columns)[n];  // offsets from the row
  int count;
  __device__ __forceinline__ bool has(int i) const { return i < count; }
  __device__ __forceinline__ int64_t offset(int i) const { return row + columns[i]; }
  __device__ __forceinline__ int64_t image(int i) const { return args.by_channels.quotient(offset(i)); }
  __device__ __forceinline__ int64_t channel(int i) const {
    int64_t channel;
    args.by_channels.split(offset(i), &channel);
    return channel;
  }
};

// The program, a call of its own; results and where they belong are handed over in registers.
static __device__ __noinline__ float4 absorbed_into(const CudaGemm& args, float4 values, int64_t row, int64_t c0,
                                                    int64_t c1, int64_t c2, int64_t c3, int count) {
  float v[4] = {values.x, values.y, values.z, values.w};
  const int64_t columns[4] = {c0, c1, c2, c3};
  apply_epilogue(args.ending.program, v, Results<4>{args, row, columns, count});
  return make_float4(v[0], v[1], v[2], v[3]);
}

// Turns the sums of a row into the stored values. Kernels without a program make no calls: calls cost registers.
template <bool has_program, int n>
__device__ __forceinline__ void finish(const CudaGemm& args, int64_t row, const int64_t (&columns)[n], int count,
                                       float (&v)[n]) {
  static_assert(n == 1 || n % 4 == 0, "");
  begin_ending(args.ending, Results<n>{args, row, columns, count}, v);
  if constexpr (has_program && n == 1) {
    v[0] = absorbed_into(args, make_float4(v[0], 0, 0, 0), row, columns[0], 0, 0, 0, count).x;
  } else if constexpr (has_program) {
#pragma unroll
    for (int i = 0; i < n; i += 4) {
      const float4 done = absorbed_into(args, make_float4(v[i], v[i + 1], v[i + 2], v[i + 3]), row, columns[i],
                                        columns[i + 1], columns[i + 2], columns[i + 3], count - i);
      v[i] = done.x, v[i + 1] = done.y, v[i + 2] = done.z, v[i + 3] = done.w;
    }
  }
}

}  // namespace cuda_gemm
DOVETAIL_CLOSE_NAMESPACE

#endif
