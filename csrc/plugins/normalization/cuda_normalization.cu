// SPDX-License-Identifier: Apache-2.0
// Normalization@1#cuda: one kernel, for teams of threads; see dovetail/cuda/reduce.cuh.
#include "kernels/reduce/cuda_reduce.cuh"
#include "rows.hpp"

using namespace dovetail;

namespace {

template <Team team, bool is_held, class T, class P>
__global__ void __launch_bounds__(kBlock) normalize(const T* x, const P* scale, const P* bias, T* y, CudaReduction over,
                                                    int64_t blocks, float epsilon, bool is_centered) {
  for (int64_t block = blockIdx.x; block < blocks; block += gridDim.x) {
    const Member<team> member(block);
    const bool is_there = member.result < over.results;
    int64_t other = 0;
    const int64_t base = is_there ? over.kept.offset(member.result, &other) : 0;
    const float count = static_cast<float>(over.count);
    const auto load = [&](int64_t i) { return to_float(x[base + over.reduced.offset(i)]); };
    const Elements<is_held, Member<team>, decltype(load)> elements(member, is_there ? over.count : 0, load);
    const float mean = is_centered ? elements.join(0.0f, Adding(), [](float v) { return v; }) / count : 0.0f;
    const float variance = elements.join(0.0f, Adding(), [mean](float v) { return (v - mean) * (v - mean); }) / count;
    const float factor = 1.0f / sqrtf(variance + epsilon);
    elements.each([&](int64_t i, float v) {
      int64_t parameter;
      const int64_t at = base + over.reduced.offset(i, &parameter);
      parameter += other;
      y[at] = float_to<T>((v - mean) * factor * to_float(scale[parameter]) + to_float(bias[parameter]));
    });
  }
}

void enqueue(const NormalizationParams& params, const Run& run) {
  const Tensor x = run.input(kX), scale = run.input(kScale), bias = run.input(kBias), y = run.output(0);
  const NormalizationArgs args = normalization_args(params, run);
  if (y.volume() == 0) return;
  CudaReduction over(args.over);
  const auto start = [&](auto t, auto p) {
    typedef decltype(t) T;
    typedef decltype(p) P;
    with_elements(&over, [&](auto team, auto is_held) {
      launch(run, "normalize", normalize<decltype(team)::value, decltype(is_held)::value, T, P>, grid_of(over), kBlock,
             0, x.data<const T>(), scale.data<const P>(), bias.data<const P>(), y.data<T>(), over, over.blocks(),
             args.epsilon, args.is_centered);
    });
  };
  with_float_type(x.type(), [&](auto t) { scale.type() == DataType::kFLOAT ? start(t, float()) : start(t, t); });
}

constexpr Row<NormalizationParams> kRows[] = {
    {.tactic = "linear",
     .needs = kBuiltSm,
     .types = kNormalizationTypes,
     .formats = "linear",
     .enqueue = enqueue,
     .traits = kCaptureSafe},
};

}  // namespace

DOVETAIL_IMPLEMENTS("Normalization@1#cuda", NormalizationParams, kRows)
