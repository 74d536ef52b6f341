// SPDX-License-Identifier: Apache-2.0
// SoftMax@1#cuda: one kernel, for teams of threads; see dovetail/cuda/reduce.cuh.
#include "kernels/reduce/cuda_reduce.cuh"
#include "rows.hpp"

using namespace dovetail;

namespace {

template <Team team, bool is_held, class T>
__global__ void __launch_bounds__(kBlock) softmax(const T* x, T* y, CudaReduction over, int64_t blocks) {
  for (int64_t block = blockIdx.x; block < blocks; block += gridDim.x) {
    const Member<team> member(block);
    const bool is_there = member.result < over.results;
    const int64_t base = is_there ? over.kept.offset(member.result) : 0;
    const auto load = [&](int64_t i) { return to_float(x[base + over.reduced.offset(i)]); };
    const Elements<is_held, Member<team>, decltype(load)> elements(member, is_there ? over.count : 0, load);
    const float max = elements.join(-INFINITY, TakingMax(), [](float v) { return v; });
    const float sum = elements.join(0.0f, Adding(), [max](float v) { return expf(v - max); });
    const float factor = 1.0f / sum;
    elements.each([&](int64_t i, float v) { y[base + over.reduced.offset(i)] = float_to<T>(expf(v - max) * factor); });
  }
}

void enqueue(const SoftmaxParams& params, const Run& run) {
  const Tensor x = run.input(0), y = run.output(0);
  if (y.volume() == 0) return;
  CudaReduction over(softmax_args(params, x).over);
  with_float_type(x.type(), [&](auto t) {
    typedef decltype(t) T;
    with_elements(&over, [&](auto team, auto is_held) {
      launch(run, "softmax", softmax<decltype(team)::value, decltype(is_held)::value, T>, grid_of(over), kBlock, 0,
             x.data<const T>(), y.data<T>(), over, over.blocks());
    });
  });
}

constexpr Row<SoftmaxParams> kRows[] = {
    {.tactic = "linear",
     .needs = kBuiltSm,
     .types = "f32|f16|bf16 -> f32|f16|bf16",
     .formats = "linear",
     .enqueue = enqueue,
     .traits = kCaptureSafe},
};

}  // namespace

DOVETAIL_IMPLEMENTS("SoftMax@1#cuda", SoftmaxParams, kRows)
