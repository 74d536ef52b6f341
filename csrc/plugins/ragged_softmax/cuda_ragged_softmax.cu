// SPDX-License-Identifier: Apache-2.0
// RaggedSoftMax@1#cuda: a warp for each row.
#include "dovetail/cuda.hpp"
#include "kernels/cuda/long_sum.cuh"
#include "rows.hpp"

using namespace dovetail;

namespace {

template <class Body>
__device__ inline float over_lanes(float v, const Body& join) {
#pragma unroll
  for (int step = 16; step > 0; step /= 2) v = join(v, __shfl_xor_sync(0xffffffffu, v, step));
  return v;
}

template <class T, class B>
__global__ void __launch_bounds__(kBlock)
    ragged_softmax(const T* x, const B* bounds, T* y, int64_t rows, int64_t size) {
  const int lane = threadIdx.x % 32;
  const auto greater = [](float a, float b) { return a > b || a != a ? a : b; };
  for (int64_t row = first_item() / 32; row < rows; row += item_stride() / 32) {
    const T* from = x + row * size;
    const int64_t bound = bounds[row], count = bound < 0 ? 0 : bound > size ? size : bound;
    float largest = -INFINITY;
    for (int64_t i = lane; i < count; i += 32) largest = greater(to_float(from[i]), largest);
    largest = over_lanes(largest, greater);
    const float sum = long_sum<float>(lane, count, 32, [&](int64_t i) { return expf(to_float(from[i]) - largest); });
    const float scale = 1.0f / over_lanes(sum, [](float a, float b) { return a + b; });
    for (int64_t i = lane; i < size; i += 32) {
      y[row * size + i] = float_to<T>(i < count ? expf(to_float(from[i]) - largest) * scale : 0.0f);
    }
  }
}

void enqueue(const RaggedSoftMaxParams&, const Run& run) {
  const Tensor x = run.input(0), bounds = run.input(1), y = run.output(0);
  if (x.volume() == 0) return;
  const int64_t size = x.extent(-1), rows = x.volume() / size;
  with_float_type(x.type(), [&](auto t) {
    using T = decltype(t);
    const auto start = [&](auto b) {
      using B = decltype(b);
      launch(run, "ragged_softmax", ragged_softmax<T, B>, blocks_for(rows * 32), kBlock, 0, x.data<const T>(),
             bounds.data<const B>(), y.data<T>(), rows, size);
    };
    if (bounds.type() == DataType::kINT64) return start(int64_t());
    start(int32_t());
  });
}

constexpr Row<RaggedSoftMaxParams> kRows[] = {{.tactic = "linear",
                                               .needs = kBuiltSm,
                                               .types = kTypes,
                                               .formats = "linear",
                                               .enqueue = enqueue,
                                               .traits = kCaptureSafe}};

}  // namespace

DOVETAIL_IMPLEMENTS("RaggedSoftMax@1#cuda", RaggedSoftMaxParams, kRows)
