// SPDX-License-Identifier: Apache-2.0
// What indexed_blocks.hpp describes, moved on a GPU: threads walk over the elements of the blocks, 16 bytes at
// a time where a block is a multiple and addresses allow it.
#ifndef DOVETAIL_KERNELS_COPY_CUDA_INDEXED_BLOCKS_CUH
#define DOVETAIL_KERNELS_COPY_CUDA_INDEXED_BLOCKS_CUH

#include "dovetail/cuda.hpp"
#include "kernels/copy/indexed_blocks.hpp"

DOVETAIL_OPEN_NAMESPACE

namespace indexed {

struct Job {
  IndexedBlocks blocks;
  const void* indices;
  const void* from;
  void* to;
  int64_t total, width;  // wide elements of all blocks; elements of one
  Divider by_block, by[DT_MAX_RANK];
};

// `to_places` false: to[k] = from[place]; true: to[place] = from[k], and what is out of range is left out.
template <class T, class Index, bool to_places>
__global__ void __launch_bounds__(kBlock) move_kernel(const __grid_constant__ Job job) {
  const T* const from = static_cast<const T*>(job.from);
  T* const to = static_cast<T*>(job.to);
  const StridedCopy& rows = job.blocks.rows;
  for (int64_t k = first_item(); k < job.total; k += item_stride()) {
    int64_t in_block, at = 0, base = 0;
    int64_t rest = job.by_block.split(k, &in_block);
#pragma unroll 1
    for (int i = rows.rank - 1; i >= 0; --i) {
      int64_t c;
      rest = job.by[i].split(rest, &c);
      at += c * rows.axes[i].from;
      base += c * rows.axes[i].to;
    }
    const int64_t place = place_of(job.blocks, static_cast<const Index*>(job.indices) + at);
    const int64_t offset = (base + place) / job.width + in_block;
    if constexpr (to_places) {
      if (place >= 0) to[offset] = from[k];
    } else {
      to[k] = place >= 0 ? from[offset] : T{};
    }
  }
}

}  // namespace indexed

template <class Index, bool to_places>
void move_blocks_on_gpu(const Run& run, const char* name, const IndexedBlocks& blocks, const Index* indices,
                        const void* from, void* to, int64_t bytes) {
  const int64_t n_rows = blocks.rows.volume();
  if (n_rows == 0 || blocks.block == 0) return;
  indexed::Job job = {};
  job.blocks = blocks;
  job.indices = indices;
  job.from = from;
  job.to = to;
  job.width = 1;
  const uintptr_t addresses = reinterpret_cast<uintptr_t>(from) | reinterpret_cast<uintptr_t>(to);
  while (bytes < 16 && blocks.block % (2 * job.width) == 0 && addresses % static_cast<uintptr_t>(2 * bytes) == 0) {
    bytes *= 2;
    job.width *= 2;
  }
  job.total = n_rows * (blocks.block / job.width);
  job.by_block = Divider(blocks.block / job.width, job.total);
  for (int i = 0; i < blocks.rows.rank; ++i) job.by[i] = Divider(blocks.rows.axes[i].n, job.total);
  with_wide_element(bytes, [&](auto t) {
    launch(run, name, indexed::move_kernel<decltype(t), Index, to_places>, blocks_for(job.total), kBlock, 0, job);
  });
}

DOVETAIL_CLOSE_NAMESPACE

#endif
