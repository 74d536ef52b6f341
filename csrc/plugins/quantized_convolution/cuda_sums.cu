// SPDX-License-Identifier: Apache-2.0
// QuantizedConvolution@1#cuda: a thread for each element of y.
#include "kernels/convolve/geometry.hpp"
#include "kernels/quantized/cuda_finish.cuh"
#include "quantized_convolution.hpp"

using namespace dovetail;

namespace {

typedef QuantizedConvolutionParams Params;

struct Args {
  CudaBytes x;
  const int8_t* kernel;
  int64_t volume, maps, channels, of_group;  // maps of all groups; channels and maps of one
  int64_t in[3], out[3], taps[3], stride[3], dilation[3], before[3];
};

__global__ void __launch_bounds__(kBlock)
    convolve(const __grid_constant__ Args args, const __grid_constant__ CudaFinish finish) {
  const int32_t zero = args.x.zero_point();
  const int64_t n_taps = args.taps[0] * args.taps[1] * args.taps[2], plane = args.in[0] * args.in[1] * args.in[2];
  for (int64_t item = first_item(); item < args.volume; item += item_stride()) {
    const int64_t w = item % args.out[2], h = item / args.out[2] % args.out[1];
    const int64_t d = item / args.out[2] / args.out[1] % args.out[0],
                  rest = item / args.out[2] / args.out[1] / args.out[0];
    const int64_t map = rest % args.maps, image = rest / args.maps, group = map / args.of_group;
    const int64_t groups = args.maps / args.of_group;
    const int8_t* const kernel = args.kernel + map * args.channels * n_taps;
    const int64_t first = (image * groups + group) * args.channels * plane;
    uint32_t sum = 0;
    for (int64_t tap = 0; tap < n_taps; ++tap) {
      const int64_t tw = tap % args.taps[2], th = tap / args.taps[2] % args.taps[1],
                    td = tap / args.taps[2] / args.taps[1];
      const int64_t x = w * args.stride[2] - args.before[2] + tw * args.dilation[2];
      const int64_t y = h * args.stride[1] - args.before[1] + th * args.dilation[1];
      const int64_t z = d * args.stride[0] - args.before[0] + td * args.dilation[0];
      if (x < 0 || x >= args.in[2] || y < 0 || y >= args.in[1] || z < 0 || z >= args.in[0]) continue;
      const int64_t at = first + (z * args.in[1] + y) * args.in[2] + x;
      for (int64_t c = 0; c < args.channels; ++c) {
        sum += static_cast<uint32_t>((args.x[at + c * plane] - zero) * kernel[c * n_taps + tap]);
      }
    }
    finish(item, map, sum);
  }
}

void enqueue(const Params& params, const Run& run) {
  const Tensor x = run.input(Params::kX), y = run.output(0);
  if (y.volume() == 0) return;
  const ConvolveFields f = params.fields();
  Args args = {};
  args.x = cuda_bytes(run, Params::kX, Params::kXZero);
  args.kernel = run.input(Params::kKernel).data<const int8_t>();
  args.volume = y.volume();
  args.maps = f.maps;
  args.of_group = f.maps / f.groups;
  args.channels = x.extent(-1 - f.n_spatial) / f.groups;
  spatial_extents(x.dims(), x.rank(), f.n_spatial, args.in);
  spatial_extents(y.dims(), y.rank(), f.n_spatial, args.out);
  for (int i = 0; i < 3; ++i) {
    args.taps[i] = f.kernel[i];
    args.stride[i] = f.stride[i];
    args.dilation[i] = f.dilation[i];
    args.before[i] = padding_before(f, i, args.in[i]);
  }
  const CudaFinish finish = cuda_finish(run, Params::kFactor, Params::kBias, Params::kYZero, params.low, params.high);
  launch(run, "convolve", convolve, blocks_for(y.volume()), kBlock, 0, args, finish);
}

#define ROW_OF(y, bias, y_zero)                                                              \
  {.tactic = "threads_" y,                                                                   \
   .needs = kBuiltSm,                                                                        \
   .types = "i8|u8 i8|i8 " bias "|" bias " i8|u8 f32|f32 " y_zero "|" y_zero " -> " y "|" y, \
   .formats = "linear",                                                                      \
   .enqueue = enqueue,                                                                       \
   .traits = kCaptureSafe},

constexpr Row<Params> kRows[] = {ROW_OF("i32", "i32", "u8") ROW_OF("f32", "f32", "u8") ROW_OF("i8", "i32", "i8")
                                     ROW_OF("u8", "i32", "u8")};

}  // namespace

DOVETAIL_IMPLEMENTS("QuantizedConvolution@1#cuda", Params, kRows)
