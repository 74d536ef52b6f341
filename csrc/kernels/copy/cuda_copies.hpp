// SPDX-License-Identifier: Apache-2.0
// The copies of strided_copy.hpp and windowed_copy.hpp on a GPU.
#ifndef DOVETAIL_KERNELS_COPY_CUDA_COPIES_HPP
#define DOVETAIL_KERNELS_COPY_CUDA_COPIES_HPP

#include "dovetail/cuda.hpp"
#include "kernels/copy/strided_copy.hpp"
#include "kernels/copy/windowed_copy.hpp"

DOVETAIL_OPEN_NAMESPACE

// Integers in device memory; data null: none.
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

// Copies on the stream of the run.
void copy_strided_on_gpu(const Run& run, StridedCopy copy, const void* x, void* y);

// The same of a window. What is filled with: `value` on the device, or else the element at `fill`. `starts` and `steps`
// on the device take the place of the window's.
void copy_window_on_gpu(const Run& run, Window window, const void* x, void* y, const void* fill,
                        const void* value = nullptr, DeviceInts starts = {}, DeviceInts steps = {});

DOVETAIL_CLOSE_NAMESPACE

#endif
