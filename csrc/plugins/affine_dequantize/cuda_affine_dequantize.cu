// SPDX-License-Identifier: Apache-2.0
// AffineDequantize@1#cuda.
#include "affine_dequantize.hpp"
#include "kernels/quantized/cuda_finish.cuh"

using namespace dovetail;

namespace {

typedef AffineDequantizeParams Params;

__global__ void __launch_bounds__(kBlock) dequantize(CudaBytes x, const float* scale, float* y, int64_t n) {
  const int32_t zero = x.zero_point();
  const float by = *scale;
  for (int64_t i = first_item(); i < n; i += item_stride()) y[i] = static_cast<float>(x[i] - zero) * by;
}

void enqueue(const Params&, const Run& run) {
  const Tensor y = run.output(0);
  launch(run, "dequantize", dequantize, blocks_for(y.volume()), kBlock, 0, cuda_bytes(run, Params::kX, Params::kZero),
         run.input(Params::kScale).data<const float>(), y.data<float>(), y.volume());
}

constexpr Row<Params> kRows[] = {
    {.tactic = "linear",
     .needs = kBuiltSm,
     .types = "i8|u8 f32|f32 i8|u8 -> f32|f32",
     .formats = "linear",
     .enqueue = enqueue,
     .traits = kCaptureSafe},
};

}  // namespace

DOVETAIL_IMPLEMENTS("AffineDequantize@1#cuda", Params, kRows)
