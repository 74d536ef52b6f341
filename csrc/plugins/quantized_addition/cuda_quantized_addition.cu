// SPDX-License-Identifier: Apache-2.0
// QuantizedAddition@1#cuda.
#include "kernels/quantized/cuda_finish.cuh"
#include "quantized_addition.hpp"

using namespace dovetail;

namespace {

typedef QuantizedAdditionParams Params;

struct Args {
  CudaBytes a, b;
  int32_t a_zero, b_zero, y_zero;
  float a_factor, b_factor, low, high;
  uint8_t* y;
  int64_t n;
};

__global__ void __launch_bounds__(kBlock) add(const __grid_constant__ Args args) {
  for (int64_t i = first_item(); i < args.n; i += item_stride()) {
    const float real = static_cast<float>(args.a[i] - args.a_zero) * args.a_factor +
                       static_cast<float>(args.b[i] - args.b_zero) * args.b_factor;
    args.y[i] = static_cast<uint8_t>(__float2int_rn(fminf(fmaxf(real, args.low), args.high)) + args.y_zero);
  }
}

void enqueue(const Params& params, const Run& run) {
  const Tensor y = run.output(0);
  const int64_t least = y.type() == DataType::kINT8 ? -128 : 0;
  const int64_t low = params.low > least ? params.low : least;
  const int64_t high = params.high < least + 255 ? params.high : least + 255;
  Args args = {};
  args.a = cuda_bytes(run, 0, -1);
  args.b = cuda_bytes(run, 1, -1);
  args.a_zero = static_cast<int32_t>(params.a_zero);
  args.b_zero = static_cast<int32_t>(params.b_zero);
  args.y_zero = static_cast<int32_t>(params.y_zero);
  args.a_factor = static_cast<float>(params.a_factor);
  args.b_factor = static_cast<float>(params.b_factor);
  args.low = static_cast<float>(low - params.y_zero);
  args.high = static_cast<float>(high - params.y_zero);
  args.y = y.data<uint8_t>();
  args.n = y.volume();
  launch(run, "add", add, blocks_for(args.n), kBlock, 0, args);
}

constexpr Row<Params> kRows[] = {
    {.tactic = "linear",
     .needs = kBuiltSm,
     .types = "i8|i8|i8|i8|u8|u8|u8|u8 i8|i8|u8|u8|i8|i8|u8|u8 -> i8|u8|i8|u8|i8|u8|i8|u8",
     .formats = "linear",
     .enqueue = enqueue,
     .traits = kCaptureSafe},
};

}  // namespace

DOVETAIL_IMPLEMENTS("QuantizedAddition@1#cuda", Params, kRows)
