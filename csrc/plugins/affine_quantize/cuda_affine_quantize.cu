// SPDX-License-Identifier: Apache-2.0
// AffineQuantize@1#cuda.
#include "affine_quantize.hpp"
#include "dovetail/cuda.hpp"

using namespace dovetail;

namespace {

typedef AffineQuantizeParams Params;

__global__ void __launch_bounds__(kBlock)
    quantize(const float* x, const float* scale, const uint8_t* zero, bool is_signed, uint8_t* y, int64_t n) {
  const int32_t offset = is_signed ? static_cast<int8_t>(*zero) : *zero, least = is_signed ? -128 : 0;
  const float low = static_cast<float>(least - offset), high = static_cast<float>(least + 255 - offset), by = *scale;
  for (int64_t i = first_item(); i < n; i += item_stride()) {
    const float quotient = __fdiv_rn(x[i], by), above = quotient > low ? quotient : low;  // nan becomes the lower limit
    y[i] = static_cast<uint8_t>(__float2int_rn(above < high ? above : high) + offset);
  }
}

void enqueue(const Params&, const Run& run) {
  const Tensor y = run.output(0);
  launch(run, "quantize", quantize, blocks_for(y.volume()), kBlock, 0, run.input(Params::kX).data<const float>(),
         run.input(Params::kScale).data<const float>(), run.input(Params::kZero).data<const uint8_t>(),
         y.type() == DataType::kINT8, y.data<uint8_t>(), y.volume());
}

constexpr Row<Params> kRows[] = {
    {.tactic = "linear",
     .needs = kBuiltSm,
     .types = "f32|f32 f32|f32 i8|u8 -> i8|u8",
     .formats = "linear",
     .enqueue = enqueue,
     .traits = kCaptureSafe},
};

}  // namespace

DOVETAIL_IMPLEMENTS("AffineQuantize@1#cuda", Params, kRows)
