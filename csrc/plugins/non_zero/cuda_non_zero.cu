// SPDX-License-Identifier: Apache-2.0
// NonZero@1#cuda: blocks count their tiles, one block sums the counts up, and blocks write behind those before them.
// The count lies in host memory that the device reaches, where the context reads it.
#include "dovetail/cuda.hpp"
#include "rows.hpp"

using namespace dovetail;

namespace {

constexpr int64_t kTile = 8 * kBlock;
constexpr int kWarps = kBlock / 32;

struct Job {
  const void* x;
  int64_t total, n_tiles;
  uint64_t mask;
  int32_t width;  // bytes of an element
};

__device__ inline bool is_set(const Job& job, int64_t at) {
  switch (job.width) {
    case 1:
      return (static_cast<const uint8_t*>(job.x)[at] & job.mask) != 0;
    case 2:
      return (static_cast<const uint16_t*>(job.x)[at] & job.mask) != 0;
    case 4:
      return (static_cast<const uint32_t*>(job.x)[at] & job.mask) != 0;
    default:
      return static_cast<const uint64_t*>(job.x)[at] != 0;
  }
}

// Set ones in the block before this thread's; `*total`: in the block.
__device__ inline int rank_in_block(bool set, int* warps, int* total) {
  const unsigned ballot = __ballot_sync(0xffffffffu, set);
  const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
  if (lane == 0) warps[warp] = __popc(ballot);
  __syncthreads();
  int before = __popc(ballot & ((1u << lane) - 1u)), all = 0;
  for (int w = 0; w < kWarps; ++w) {
    if (w < warp) before += warps[w];
    all += warps[w];
  }
  __syncthreads();  // all have read what the next call writes
  *total = all;
  return before;
}

__global__ void __launch_bounds__(kBlock) count_tiles(const __grid_constant__ Job job, int64_t* before) {
  __shared__ int warps[kWarps];
  for (int64_t tile = blockIdx.x; tile < job.n_tiles; tile += gridDim.x) {
    int n = 0;
    for (int64_t i = 0; i < kTile; i += kBlock) {
      const int64_t at = tile * kTile + i + threadIdx.x;
      int found = 0;
      rank_in_block(at < job.total && is_set(job, at), warps, &found);
      n += found;
    }
    if (threadIdx.x == 0) before[tile] = n;
  }
}

// before[t] becomes the sum of all earlier ones, before[n] that of all.
template <class Index>
__global__ void __launch_bounds__(kBlock) sum_up(int64_t n, int64_t* before, Index* count) {
  __shared__ int64_t parts[kBlock];
  const int64_t length = (n + kBlock - 1) / kBlock, first = threadIdx.x * length;
  const int64_t end = first + length < n ? first + length : n;
  int64_t sum = 0;
  for (int64_t t = first; t < end; ++t) sum += before[t];
  parts[threadIdx.x] = sum;
  __syncthreads();
  if (threadIdx.x == 0) {
    int64_t total = 0;
    for (int i = 0; i < kBlock; ++i) {
      const int64_t part = parts[i];
      parts[i] = total;
      total += part;
    }
    before[n] = total;
    *count = static_cast<Index>(total);
  }
  __syncthreads();
  int64_t total = parts[threadIdx.x];
  for (int64_t t = first; t < end; ++t) {
    const int64_t part = before[t];
    before[t] = total;
    total += part;
  }
}

template <class Index>
__global__ void __launch_bounds__(kBlock)
    write_tiles(const __grid_constant__ Job job, const __grid_constant__ NonZeroExtents extents, const int64_t* before,
                Index* y) {
  __shared__ int warps[kWarps];
  const int64_t count = before[job.n_tiles];
  for (int64_t tile = blockIdx.x; tile < job.n_tiles; tile += gridDim.x) {
    int64_t k = before[tile];
    for (int64_t i = 0; i < kTile; i += kBlock) {
      const int64_t at = tile * kTile + i + threadIdx.x;
      const bool set = at < job.total && is_set(job, at);
      int found = 0;
      const int rank = rank_in_block(set, warps, &found);
      if (set) put_coordinates(extents, at, k + rank, count, y);
      k += found;
    }
  }
}

uint64_t workspace(const NonZeroParams&, const Descs& inputs, const Descs&, int) {
  return static_cast<uint64_t>(divide_up(inputs[0].max_volume(), kTile) + 1) * sizeof(int64_t);
}

template <class Index>
void enqueue(const NonZeroParams&, const Run& run) {
  const Tensor x = run.input(0);
  Job job = {x.data<void>(), x.volume(), divide_up(x.volume(), kTile), non_zero_mask(x.type()),
             static_cast<int32_t>(size_of(x.type()))};
  int64_t* const before = run.workspace<int64_t>();
  const unsigned blocks = static_cast<unsigned>(job.n_tiles < (1 << 20) ? job.n_tiles : 1 << 20);
  launch(run, "count_tiles", count_tiles, blocks, kBlock, 0, job, before);
  launch(run, "sum_up", sum_up<Index>, 1, kBlock, 0, job.n_tiles, before, run.output(1).data<Index>());
  launch(run, "write_tiles", write_tiles<Index>, blocks, kBlock, 0, job, non_zero_extents(x), before,
         run.output(0).data<Index>());
}

#define NON_ZERO_ROW(name, types_, Index)    \
  {.tactic = name,                           \
   .needs = kBuiltSm,                        \
   .types = types_,                          \
   .formats = "linear -> linear linear@cpu", \
   .workspace = workspace,                   \
   .enqueue = enqueue<Index>},

// clang-format off
constexpr Row<NonZeroParams> kRows[] = {
    NON_ZERO_ROW("i32", kTypes32, int32_t)
    NON_ZERO_ROW("i64", kTypes64, int64_t)
};
// clang-format on

}  // namespace

DOVETAIL_IMPLEMENTS("NonZero@1#cuda", NonZeroParams, kRows)
