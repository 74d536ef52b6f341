// SPDX-License-Identifier: Apache-2.0
// Scatter@1#cuda: a copy of x, then all updates in parallel; reductions into an element are atomic.
#include "kernels/copy/cuda_copies.hpp"
#include "kernels/copy/cuda_indexed_blocks.cuh"
#include "rows.hpp"

using namespace dovetail;
using DT_ISA::combined;
using DT_ISA::combined_integers;

namespace {

__device__ float meet(int32_t how, float a, float v) { return combined(how, a, v); }
__device__ __half meet(int32_t how, __half a, __half v) {
  return float_to<__half>(combined(how, to_float(a), to_float(v)));
}
__device__ __nv_bfloat16 meet(int32_t how, __nv_bfloat16 a, __nv_bfloat16 v) {
  return float_to<__nv_bfloat16>(combined(how, to_float(a), to_float(v)));
}
template <class T>
__device__ T meet(int32_t how, T a, T v) {
  return combined_integers(how, a, v);
}

// Compare and swap: the element is replaced if no other thread changed it meanwhile.
template <class T>
__device__ void combine_at(int32_t how, T* place, T update) {
  using Wide = std::conditional_t<sizeof(T) == 8, unsigned long long, unsigned int>;
  using Word = std::conditional_t<sizeof(T) == 2, unsigned short, Wide>;
  Word* const word = reinterpret_cast<Word*>(place);
  Word seen = *reinterpret_cast<volatile Word*>(word), expected;
  do {
    expected = seen;
    T element;
    memcpy(&element, &expected, sizeof(T));
    element = meet(how, element, update);
    Word next;
    memcpy(&next, &element, sizeof(T));
    if (next == expected) return;
    seen = atomicCAS(word, expected, next);
  } while (seen != expected);
}

struct CombineJob {
  IndexedBlocks blocks;
  const void *indices, *updates;
  void* y;
  int64_t total;
  int32_t reduction;
  Divider by_block, by[DT_MAX_RANK];
};

// T is the type of the updates, Wide that in which they meet their elements.
template <class T, class Wide, class Index>
__global__ void __launch_bounds__(kBlock) combine_kernel(const __grid_constant__ CombineJob job) {
  const T* const updates = static_cast<const T*>(job.updates);
  const StridedCopy& rows = job.blocks.rows;
  for (int64_t k = first_item(); k < job.total; k += item_stride()) {
    int64_t in_block, at = 0, base = 0;
    int64_t rest = job.by_block.split(k, &in_block);
    for (int i = rows.rank - 1; i >= 0; --i) {
      int64_t c;
      rest = job.by[i].split(rest, &c);
      at += c * rows.axes[i].from;
      base += c * rows.axes[i].to;
    }
    const int64_t place = place_of(job.blocks, static_cast<const Index*>(job.indices) + at);
    if (place < 0) continue;
    combine_at(job.reduction, static_cast<Wide*>(job.y) + base + place + in_block, static_cast<Wide>(updates[k]));
  }
}

template <class From, class To>
__global__ void __launch_bounds__(kBlock) convert_kernel(const From* x, To* y, int64_t n) {
  for (int64_t k = first_item(); k < n; k += item_stride()) y[k] = static_cast<To>(x[k]);
}

template <class T, class Wide, class Index>
void combine_all(const Run& run, const CombineJob& job) {
  launch(run, "scatter", combine_kernel<T, Wide, Index>, blocks_for(job.total), kBlock, 0, job);
}

// Bytes have no atomic exchange: they meet in 32 bits, whose low ones are the result.
template <class T, class Index>
void combine_bytes(const Run& run, CombineJob job) {
  const Tensor y = run.output(0);
  const int64_t n = y.volume();
  if (static_cast<int64_t>(run.workspace_bytes()) < n * 4) fail(DT_INTERNAL, "the workspace is too small");
  job.y = run.workspace<int32_t>();
  launch(run, "scatter_widen", convert_kernel<T, int32_t>, blocks_for(n), kBlock, 0, y.data<const T>(),
         run.workspace<int32_t>(), n);
  combine_all<T, int32_t, Index>(run, job);
  launch(run, "scatter_narrow", convert_kernel<int32_t, T>, blocks_for(n), kBlock, 0, run.workspace<const int32_t>(),
         y.data<T>(), n);
}

template <class Index>
void combine_on_gpu(const ScatterParams& params, const Run& run, const IndexedBlocks& blocks) {
  CombineJob job = {};
  job.blocks = blocks;
  job.indices = run.input(1).data<void>();
  job.updates = run.input(2).data<void>();
  job.y = run.output(0).data<void>();
  job.reduction = params.reduction;
  job.total = blocks.rows.volume() * blocks.block;
  if (job.total == 0) return;
  job.by_block = Divider(blocks.block, job.total);
  for (int i = 0; i < blocks.rows.rank; ++i) job.by[i] = Divider(blocks.rows.axes[i].n, job.total);
  const DataType type = run.input(0).type();
  switch (static_cast<int32_t>(type)) {
    case DT_TYPE_INT8:
      return combine_bytes<int8_t, Index>(run, job);
    case DT_TYPE_BOOL:  // 0 and 1: "or" is their maximum, "and" their minimum
      if (job.reduction == kAdd) job.reduction = kMax;
      if (job.reduction == kMul) job.reduction = kMin;
      return combine_bytes<uint8_t, Index>(run, job);
    case DT_TYPE_UINT8:
      return combine_bytes<uint8_t, Index>(run, job);
    case DT_TYPE_INT32:
      return combine_all<int32_t, int32_t, Index>(run, job);
    case DT_TYPE_INT64:
      return combine_all<int64_t, int64_t, Index>(run, job);
    default:
      with_float_type(type, [&](auto t) { combine_all<decltype(t), decltype(t), Index>(run, job); });
  }
}

uint64_t workspace(const ScatterParams& params, const Descs& inputs, const Descs&, int) {
  const Desc x = inputs[0];
  if (params.reduction == kNone || size_of(x.type()) != 1) return 0;
  uint64_t bytes = 4;
  for (int i = 0; i < x.rank(); ++i) bytes *= static_cast<uint64_t>(x.max_extent(i));
  return bytes;
}

template <class Index>
void enqueue(const ScatterParams& params, const Run& run) {
  const IndexedBlocks blocks = scattered_blocks(params, run);
  const Tensor x = run.input(0);
  void* y = run.output(0).data<void>();
  if (x.data<void>() != y) copy_strided_on_gpu(run, whole_copy(x), x.data<void>(), y);
  if (params.reduction != kNone) return combine_on_gpu<Index>(params, run, blocks);
  move_blocks_on_gpu<Index, true>(run, "scatter", blocks, run.input(1).data<const Index>(), run.input(2).data<void>(),
                                  y, size_of(x.type()));
}

#define SCATTER_ROW(name, words, Index) \
  {.tactic = name,                      \
   .needs = kBuiltSm,                   \
   .types = words,                      \
   .workspace = workspace,              \
   .enqueue = enqueue<Index>,           \
   .traits = kCaptureSafe}
constexpr Row<ScatterParams> kRows[] = {
    SCATTER_ROW("blocks", kScatterTypes, int32_t),
    SCATTER_ROW("blocks_int64", kWideScatterTypes, int64_t),
};

}  // namespace

DOVETAIL_IMPLEMENTS("Scatter@1#cuda", ScatterParams, kRows)
