// SPDX-License-Identifier: Apache-2.0
// DynamicQuantize@1#cuda: blocks find the range of their parts, one block that of all, then each thread divides.
#include "dovetail/cuda.hpp"
#include "dynamic_quantize.hpp"

using namespace dovetail;

namespace {

constexpr int kMostParts = 1024;

struct Range {
  float low, high;
  __device__ void take(float l, float h) {
    low = l < low ? l : low;
    high = h > high ? h : high;
  }
};

// The range of all threads of a block, in thread 0.
__device__ Range joined(Range own) {
  __shared__ Range of[kBlock];
  of[threadIdx.x] = own;
  __syncthreads();
  for (int reach = kBlock / 2; reach > 0; reach /= 2) {
    if (threadIdx.x < reach) of[threadIdx.x].take(of[threadIdx.x + reach].low, of[threadIdx.x + reach].high);
    __syncthreads();
  }
  return of[0];
}

__global__ void __launch_bounds__(kBlock) ranges(const float* x, int64_t n, Range* parts) {
  Range own = {0, 0};
  for (int64_t i = first_item(); i < n; i += item_stride()) own.take(x[i], x[i]);
  own = joined(own);
  if (threadIdx.x == 0) parts[blockIdx.x] = own;
}

__global__ void __launch_bounds__(kBlock) scale_of(const Range* parts, int n_parts, float* scale, uint8_t* zero) {
  Range own = {0, 0};
  for (int i = threadIdx.x; i < n_parts; i += kBlock) own.take(parts[i].low, parts[i].high);
  own = joined(own);
  if (threadIdx.x != 0) return;
  const float step = own.high > own.low ? __fdiv_rn(__fsub_rn(own.high, own.low), 255.0f) : 1.0f;
  const int32_t start = __float2int_rn(__fdiv_rn(-own.low, step));
  *scale = step;
  *zero = static_cast<uint8_t>(start < 255 ? start : 255);
}

__global__ void __launch_bounds__(kBlock)
    quantize(const float* x, int64_t n, const float* scale, const uint8_t* zero, uint8_t* y) {
  const float offset = static_cast<float>(*zero), by = *scale;
  for (int64_t i = first_item(); i < n; i += item_stride()) {
    const float quotient = fminf(fmaxf(__fdiv_rn(x[i], by), -offset), 255.0f - offset);
    y[i] = static_cast<uint8_t>(__float2int_rn(quotient) + *zero);
  }
}

uint64_t workspace(const DynamicQuantizeParams&, const Descs&, const Descs&, int) { return kMostParts * sizeof(Range); }

void enqueue(const DynamicQuantizeParams&, const Run& run) {
  const Tensor x = run.input(0);
  const float* const values = x.data<const float>();
  const int64_t n = x.volume();
  const unsigned blocks = blocks_for(n), most = kMostParts, parts = n == 0 ? 1 : blocks < most ? blocks : most;
  float* const scale = run.output(1).data<float>();
  uint8_t* const zero = run.output(2).data<uint8_t>();
  launch(run, "ranges", ranges, parts, kBlock, 0, values, n, run.workspace<Range>());
  launch(run, "scale_of", scale_of, 1, kBlock, 0, run.workspace<Range>(), static_cast<int>(parts), scale, zero);
  launch(run, "quantize", quantize, blocks, kBlock, 0, values, n, scale, zero, run.output(0).data<uint8_t>());
}

constexpr Row<DynamicQuantizeParams> kRows[] = {
    {.tactic = "linear",
     .needs = kBuiltSm,
     .types = "f32 -> u8 f32 u8",
     .formats = "linear",
     .workspace = workspace,
     .enqueue = enqueue,
     .traits = kCaptureSafe},
};

}  // namespace

DOVETAIL_IMPLEMENTS("DynamicQuantize@1#cuda", DynamicQuantizeParams, kRows)
