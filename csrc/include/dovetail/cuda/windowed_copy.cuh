// SPDX-License-Identifier: Apache-2.0
// What dovetail/windowed_copy.hpp describes, copied on a GPU.
#ifndef DOVETAIL_CUDA_WINDOWED_COPY_CUH
#define DOVETAIL_CUDA_WINDOWED_COPY_CUH

#include "dovetail/cuda/strided_copy.cuh"
#include "dovetail/windowed_copy.hpp"

DOVETAIL_OPEN_NAMESPACE

// Integers that lie on the device; data null: none.
struct DeviceInts {
  const void* data = nullptr;
  bool is_wide = false;  // int64, else int32

  DeviceInts() = default;
  explicit DeviceInts(const Tensor& t) : data(t.data<void>()), is_wide(t.type() == DataType::kINT64) {}
#ifdef __CUDACC__
  __device__ int64_t operator[](int64_t i) const {
    return is_wide ? static_cast<const int64_t*>(data)[i] : static_cast<const int32_t*>(data)[i];
  }
#endif
};

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

// Copies on the stream of the run. What is filled with: `value` on the device, or else the element at `fill`.
// `starts` and `steps` on the device take the place of the window's.
inline void copy_window_on_gpu(const Run& run, Window window, const void* x, void* y, const void* fill,
                               const void* value = nullptr, DeviceInts starts = {}, DeviceInts steps = {}) {
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

#endif
