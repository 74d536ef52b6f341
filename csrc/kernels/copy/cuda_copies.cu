// SPDX-License-Identifier: Apache-2.0
// Strided copies: 16 bytes at a time where neighbours stay neighbours and addresses allow it, and through tiles in
// shared memory where x and y run along different axes. Windowed ones: an element at a time.
#include "kernels/copy/cuda_copies.hpp"

DOVETAIL_OPEN_NAMESPACE

namespace strided {

constexpr int kCopiesAThread = 4;  // under way at once

struct CopyJob {
  const void* x;
  void* y;
  int64_t total, from, to;
  int64_t from_step[DT_MAX_RANK], to_step[DT_MAX_RANK];
  Divider by[DT_MAX_RANK];
  int32_t rank;
};

// Elements are numbered as they lie in y.
template <class T>
__global__ void __launch_bounds__(kBlock) copy_kernel(const __grid_constant__ CopyJob job) {
  const T* const x = static_cast<const T*>(job.x);
  T* const y = static_cast<T*>(job.y);
  const int64_t stride = static_cast<int64_t>(gridDim.x) * kBlock * kCopiesAThread;
  for (int64_t first = static_cast<int64_t>(blockIdx.x) * kBlock * kCopiesAThread + threadIdx.x; first < job.total;
       first += stride) {
    T v[kCopiesAThread];
    int64_t target[kCopiesAThread];
#pragma unroll
    for (int k = 0; k < kCopiesAThread; ++k) {
      int64_t rest = first + k * kBlock, from = job.from, to = job.to;
      if (rest >= job.total) break;
#pragma unroll 1
      for (int i = job.rank - 1; i > 0; --i) {
        int64_t at;
        rest = job.by[i].split(rest, &at);
        from += at * job.from_step[i];
        to += at * job.to_step[i];
      }
      v[k] = x[from + rest * job.from_step[0]];
      target[k] = to + rest * job.to_step[0];
    }
#pragma unroll
    for (int k = 0; k < kCopiesAThread; ++k) {
      if (first + k * kBlock < job.total) y[target[k]] = v[k];
    }
  }
}

// x has neighbours along j, y along i. `n` neighbours of a tile are accessed at once, 4 bytes at least.
struct TileJob {
  CopyJob outer;  // the other axes
  int64_t n_j, n_i, from_i, to_j;
  int64_t n_tiles;
  Divider by_tiles_j, by_tiles_i;
  bool loads_packs, stores_packs;
};

template <class T>
constexpr int kNeighbours = sizeof(T) < 4 ? 4 / static_cast<int>(sizeof(T)) : 1;
template <class T>
constexpr int kTileSide = 32 * kNeighbours<T>;

template <class T>
__global__ void __launch_bounds__(kBlock) tile_kernel(const __grid_constant__ TileJob job) {
  constexpr int n = kNeighbours<T>, side = kTileSide<T>;
  __shared__ __align__(16) T cells[side][side + n];  // rows are i; one more pack, so that columns go through all banks
  const CopyJob& outer = job.outer;
  const int lane = static_cast<int>(threadIdx.x) % 32 * n, first_row = static_cast<int>(threadIdx.x) / 32;
  for (int64_t tile = blockIdx.x; tile < job.n_tiles; tile += gridDim.x) {
    int64_t i0, j0, from = outer.from, to = outer.to;
    int64_t rest = job.by_tiles_j.split(job.by_tiles_i.split(tile, &i0), &j0);
    i0 *= side;
    j0 *= side;
#pragma unroll 1
    for (int a = outer.rank - 1; a >= 0; --a) {
      int64_t at;
      rest = outer.by[a].split(rest, &at);
      from += at * outer.from_step[a];
      to += at * outer.to_step[a];
    }
    const T* const x = static_cast<const T*>(outer.x) + from + j0;
    T* const y = static_cast<T*>(outer.y) + to + i0;
    for (int row = first_row; row < side && i0 + row < job.n_i; row += kBlock / 32) {
      const T* const source = x + (i0 + row) * job.from_i + lane;
      if (job.loads_packs && j0 + lane + n <= job.n_j) {
        T v[n];
        load_pack<n>(source, v);
        store_pack<n>(&cells[row][lane], v);
      } else {
        for (int k = 0; k < n; ++k) {
          if (j0 + lane + k < job.n_j) cells[row][lane + k] = source[k];
        }
      }
    }
    __syncthreads();
    for (int row = first_row; row < side && j0 + row < job.n_j; row += kBlock / 32) {
      T* const target = y + (j0 + row) * job.to_j + lane;
      if (job.stores_packs && i0 + lane + n <= job.n_i) {
        T v[n];
#pragma unroll
        for (int k = 0; k < n; ++k) v[k] = cells[lane + k][row];
        store_pack<n>(target, v);
      } else {
        for (int k = 0; k < n; ++k) {
          if (i0 + lane + k < job.n_i) target[k] = cells[lane + k][row];
        }
      }
    }
    __syncthreads();
  }
}

// All axes of the copy but two; -1 leaves none out.
inline CopyJob job_of(const StridedCopy& copy, const void* x, void* y, int without = -1, int and_without = -1) {
  CopyJob job = {};
  job.x = x;
  job.y = y;
  job.from = copy.from;
  job.to = copy.to;
  job.total = copy.volume();
  for (int i = 0; i < copy.rank; ++i) {
    if (i == without || i == and_without) continue;
    job.from_step[job.rank] = copy.axes[i].from;
    job.to_step[job.rank] = copy.axes[i].to;
    job.by[job.rank++] = Divider(copy.axes[i].n, job.total);
  }
  return job;
}

template <class T>
void copy_as(const Run& run, const StridedCopy& copy, const void* x, void* y) {
  const int axis = transposed_axis(copy), last = copy.rank - 1;
  if (axis < 0) {
    const CopyJob job = job_of(copy, x, y);
    launch(run, "strided_copy", copy_kernel<T>, blocks_for(job.total, kCopiesAThread), kBlock, 0, job);
    return;
  }
  constexpr int n = kNeighbours<T>, side = kTileSide<T>;
  const StridedCopy::Axis j = copy.axes[axis], i = copy.axes[last];
  const int64_t tiles_j = divide_up(j.n, side), tiles_i = divide_up(i.n, side);
  TileJob job = {};
  job.outer = job_of(copy, x, y, axis, last);
  job.n_j = j.n;
  job.n_i = i.n;
  job.from_i = i.from;
  job.to_j = j.to;
  job.n_tiles = copy.volume() / (j.n * i.n) * tiles_j * tiles_i;
  job.by_tiles_j = Divider(tiles_j, job.n_tiles);
  job.by_tiles_i = Divider(tiles_i, job.n_tiles);
  int64_t odd_from = copy.from | i.from, odd_to = copy.to | j.to;
  for (int a = 0; a < job.outer.rank; ++a) {
    odd_from |= job.outer.from_step[a];
    odd_to |= job.outer.to_step[a];
  }
  job.loads_packs = odd_from % n == 0 && is_aligned(n * sizeof(T), x);
  job.stores_packs = odd_to % n == 0 && is_aligned(n * sizeof(T), y);
  const int64_t blocks = job.n_tiles < (1 << 20) ? job.n_tiles : 1 << 20;
  launch(run, "strided_tiles", tile_kernel<T>, static_cast<unsigned>(blocks), kBlock, 0, job);
}

}  // namespace strided

void copy_strided_on_gpu(const Run& run, StridedCopy copy, const void* x, void* y) {
  collapse(&copy);
  if (copy.rank > 0 && copy.axes[copy.rank - 1].n == 0) return;
  widen(&copy, 16, reinterpret_cast<uintptr_t>(x) | reinterpret_cast<uintptr_t>(y));
  with_wide_element(copy.bytes, [&](auto t) { strided::copy_as<decltype(t)>(run, copy, x, y); });
}

namespace windowed {

struct Job {
  Window window;
  const void* x;
  void* y;
  int64_t total;             // blocks times elements of a block, as wide as the kernel takes them
  DeviceInts starts, steps;  // in place of those of the window
  const void* value;         // an element on the device, what is filled with; null: `fill`
  __align__(16) uint8_t fill[16];
  Divider by_block, by[DT_MAX_RANK];
};

template <class T>
__global__ void __launch_bounds__(kBlock) window_kernel(const __grid_constant__ Job job) {
  const T* const x = static_cast<const T*>(job.x);
  T* const y = static_cast<T*>(job.y);
  const T value = job.value ? *static_cast<const T*>(job.value) : *reinterpret_cast<const T*>(job.fill);
  for (int64_t k = first_item(); k < job.total; k += item_stride()) {
    int64_t in_block, offset = 0;
    int64_t rest = job.by_block.split(k, &in_block);
    bool is_filled = false;
#pragma unroll 1
    for (int i = job.window.rank - 1; i >= 0; --i) {
      Window::Axis axis = job.window.axes[i];
      if (job.starts.data) axis.start = job.starts[i];
      if (job.steps.data) axis.step = job.steps[i];
      int64_t c;
      rest = job.by[i].split(rest, &c);
      const int64_t index = source_index(job.window.mode, axis, c);
      is_filled = is_filled || index < 0;
      offset += index * axis.distance;
    }
    y[k] = is_filled ? value : x[offset * job.by_block.divisor + in_block];
  }
}

}  // namespace windowed

void copy_window_on_gpu(const Run& run, Window window, const void* x, void* y, const void* fill, const void* value,
                        DeviceInts starts, DeviceInts steps) {
  if (window.blocks() == 0 || window.block == 0) return;
  if (!starts.data && !steps.data) join_whole_axes(&window);
  int64_t bytes = window.bytes, block = window.block;
  const uintptr_t addresses = reinterpret_cast<uintptr_t>(x) | reinterpret_cast<uintptr_t>(y);
  while (!value && bytes < 16 && block % 2 == 0 && addresses % static_cast<uintptr_t>(2 * bytes) == 0) {
    bytes *= 2;
    block /= 2;
  }
  windowed::Job job = {};
  job.window = window;
  job.x = x;
  job.y = y;
  job.total = window.blocks() * block;
  job.starts = starts;
  job.steps = steps;
  job.value = value;
  for (int64_t i = 0; fill && i < 16; i += window.bytes) {
    std::memcpy(job.fill + i, fill, static_cast<size_t>(window.bytes));
  }
  job.by_block = Divider(block, job.total);
  for (int i = 0; i < window.rank; ++i) job.by[i] = Divider(window.axes[i].count, job.total);
  with_wide_element(bytes, [&](auto t) {
    launch(run, "windowed_copy", windowed::window_kernel<decltype(t)>, blocks_for(job.total), kBlock, 0, job);
  });
}

DOVETAIL_CLOSE_NAMESPACE
