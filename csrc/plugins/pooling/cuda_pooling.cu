// SPDX-License-Identifier: Apache-2.0
// Pooling@1#cuda: a thread an output, or a warp an output where windows are large.
#include "dovetail/cuda.hpp"
#include "kernels/cuda/long_sum.cuh"
#include "kernels/simd/math.hpp"
#include "rows.hpp"

using namespace dovetail;

namespace {

using namespace DT_ISA;

constexpr int kWide = 32;  // cells of a window from which a warp shares it

// Splits an output's number: [planes, depth, height, width, packs of lanes].
struct PoolIndex {
  Divider by_packs, by_width, by_height, by_depth;
  int64_t packs, channels;  // of one pixel; those from `channels` on are padding
};

__device__ inline float read_cell(float v) { return v; }
__device__ inline float read_cell(__half v) { return to_float(v); }
__device__ inline float read_cell(__nv_bfloat16 v) { return to_float(v); }
__device__ inline float read_cell(int8_t v) { return v; }

template <class Y>
__device__ inline Y written(float v) {
  return float_to<Y>(v);
}
template <>
__device__ inline int8_t written<int8_t>(float v) {
  return static_cast<int8_t>(static_cast<int32_t>(round_even_f(clamp_nan(v, -128.0f, 127.0f))));
}

// Once NaN, it stays NaN.
__device__ inline float larger(float a, float v) { return (v > a) | (v != v) ? v : a; }

__device__ inline float pooled(const PoolingArgs& args, float most, float sum, float cells) {
  const float average = sum / cells;
  const float y = args.kind == kPoolMax       ? most
                  : args.kind == kPoolAverage ? average
                                              : (1.0f - args.blend) * most + args.blend * average;
  return y * args.scale;
}

__device__ inline float counted(const PoolingArgs& args, int64_t d, int64_t h, int64_t w) {
  return static_cast<float>(counted_cells(args.axis[0], d, args.excludes_padding) *
                            counted_cells(args.axis[1], h, args.excludes_padding) *
                            counted_cells(args.axis[2], w, args.excludes_padding));
}

// n channels that lie beside one another are one pack.
template <int n, class X, class Y>
__global__ void __launch_bounds__(kBlock) pool_windows(PoolingArgs args, PoolIndex index, int64_t total) {
  const X* x = static_cast<const X*>(args.x);
  Y* y = static_cast<Y*>(args.y);
  const PoolAxis &depth = args.axis[0], &height = args.axis[1], &width = args.axis[2];
  for (int64_t item = first_item(); item < total; item += item_stride()) {
    int64_t pack, w, h, d;
    const int64_t plane = index.by_depth.split(
        index.by_height.split(index.by_width.split(index.by_packs.split(item, &pack), &w), &h), &d);
    float most[n];
    LongSums<n> sums;
#pragma unroll
    for (int j = 0; j < n; ++j) most[j] = -INFINITY;
    for (int64_t z = low_cell(depth, d); z < high_cell(depth, d); ++z) {
      for (int64_t r = low_cell(height, h); r < high_cell(height, h); ++r) {
        const X* row = x + (((plane * depth.in + z) * height.in + r) * width.in * index.packs + pack) * n;
        for (int64_t c = low_cell(width, w); c < high_cell(width, w); ++c) {
          X cell[n];
          load_pack<n>(row + c * index.packs * n, cell);
#pragma unroll
          for (int j = 0; j < n; ++j) {
            const float v = read_cell(cell[j]);
            most[j] = larger(most[j], v);
            sums.part[j] += v;
          }
          sums.added();
        }
      }
    }
    const float cells = counted(args, d, h, w);
    Y out[n];
#pragma unroll
    for (int j = 0; j < n; ++j) {
      out[j] = pack * n + j >= index.channels ? Y() : written<Y>(pooled(args, most[j], sums.value(j), cells));
    }
    store_pack<n>(y + item * n, out);
  }
}

// Linear tensors; lanes of a warp go through the cells of one window.
template <class X, class Y>
__global__ void __launch_bounds__(kBlock) pool_wide_windows(PoolingArgs args, PoolIndex index, int64_t total) {
  const X* x = static_cast<const X*>(args.x);
  const PoolAxis &depth = args.axis[0], &height = args.axis[1], &width = args.axis[2];
  const int lane = threadIdx.x % 32;
  for (int64_t item = first_item() / 32; item < total; item += item_stride() / 32) {
    int64_t w, h, d;
    const int64_t plane = index.by_depth.split(index.by_height.split(index.by_width.split(item, &w), &h), &d);
    const int64_t columns = high_cell(width, w) - low_cell(width, w), rows = high_cell(height, h) - low_cell(height, h);
    float most = -INFINITY;
    LongSums<1> sums;
    for (int64_t z = low_cell(depth, d); z < high_cell(depth, d) && rows > 0 && columns > 0; ++z) {
      const X* corner = x + ((plane * depth.in + z) * height.in + low_cell(height, h)) * width.in + low_cell(width, w);
      // Cells lane, lane + 32, ... of the window, without dividing for each.
      int64_t r = lane / columns, c = lane % columns;
      const int64_t row_step = 32 / columns, column_step = 32 % columns;
      while (r < rows) {
        const float v = read_cell(corner[r * width.in + c]);
        most = larger(most, v);
        sums.part[0] += v;
        sums.added();
        r += row_step;
        c += column_step;
        if (c >= columns) {
          c -= columns;
          ++r;
        }
      }
    }
    float sum = sums.value(0);
    for (int other = 16; other > 0; other /= 2) {
      most = larger(most, __shfl_xor_sync(0xffffffffu, most, other));
      sum += __shfl_xor_sync(0xffffffffu, sum, other);
    }
    if (lane == 0) static_cast<Y*>(args.y)[item] = written<Y>(pooled(args, most, sum, counted(args, d, h, w)));
  }
}

template <int n, class X, class Y>
void start(const Run& run, const PoolingArgs& args, int64_t packs, int64_t channels) {
  const PoolAxis &depth = args.axis[0], &height = args.axis[1], &width = args.axis[2];
  const int64_t total = args.planes * depth.out * height.out * width.out * packs;
  PoolIndex index;
  index.by_packs = Divider(packs, total);
  index.by_width = Divider(width.out, total);
  index.by_height = Divider(height.out, total);
  index.by_depth = Divider(depth.out, total);
  index.packs = packs;
  index.channels = channels;
  if (n == 1 && packs == 1 && depth.window * height.window * width.window >= kWide) {
    const int64_t blocks = divide_up(total, kBlock / 32);
    launch(run, "pool_wide_windows", pool_wide_windows<X, Y>,
           static_cast<unsigned>(blocks < (1 << 20) ? blocks : 1 << 20), kBlock, 0, args, index, total);
  } else {
    launch(run, "pool_windows", pool_windows<n, X, Y>, blocks_for(total), kBlock, 0, args, index, total);
  }
}

template <int n>
void start(const Run& run, const PoolingArgs& args, int64_t packs, int64_t channels) {
  if (args.x_type == DT_TYPE_INT8) {
    if (args.y_type == DT_TYPE_INT8) return start<n, int8_t, int8_t>(run, args, packs, channels);
    return start<n, int8_t, float>(run, args, packs, channels);
  }
  with_float_type(static_cast<DataType>(args.x_type), [&](auto t) {
    typedef decltype(t) T;
    start<n, T, T>(run, args, packs, channels);
  });
}

void enqueue(const PoolingParams& params, const Run& run) {
  const Tensor x = run.input(0), y = run.output(0);
  PoolingArgs args = pooling_args(params, x, y);
  args.x = x.data<void>();
  args.y = y.data<void>();
  if (y.volume() == 0) return;
  const FormatView view = view_of(y);
  const int64_t lanes = view.kind == 2 ? view.padded : 1;
  args.planes = view.stored() / (args.axis[0].out * args.axis[1].out * args.axis[2].out * lanes);
  if (view.kind == 2) {
    if (!is_aligned(16, args.x, args.y)) {
      return with_float_type(x.type(), [&](auto t) {
        typedef decltype(t) T;
        start<1, T, T>(run, args, lanes, view.channels);
      });
    }
    return with_float_type(x.type(), [&](auto t) {
      typedef decltype(t) T;
      start<16 / sizeof(T), T, T>(run, args, lanes / (16 / static_cast<int64_t>(sizeof(T))), view.channels);
    });
  }
  start<1>(run, args, 1, 1);
}

constexpr Row<PoolingParams> kRows[] = {
    {.tactic = "hwc8",
     .needs = kBuiltSm,
     .types = "f16|bf16 -> f16|bf16",
     .formats = "hwc8",
     .fits = fits_pooling,
     .enqueue = enqueue,
     .traits = kCaptureSafe},
    {.tactic = "dhwc8",
     .needs = kBuiltSm,
     .types = "f16|bf16 -> f16|bf16",
     .formats = "dhwc8",
     .fits = fits_pooling,
     .enqueue = enqueue,
     .traits = kCaptureSafe},
    {.tactic = "linear",
     .needs = kBuiltSm,
     .types = "f32|f16|bf16|i8|i8 -> f32|f16|bf16|i8|f32",
     .formats = "linear",
     .fits = fits_pooling,
     .enqueue = enqueue,
     .traits = kCaptureSafe},
};

}  // namespace

DOVETAIL_IMPLEMENTS("Pooling@1#cuda", PoolingParams, kRows)
