// SPDX-License-Identifier: Apache-2.0
// Convolution with one output a thread (linear) or 8 neighbouring channels of one (hwc8): for groups of few channels
// and maps, depthwise ones above all, where a tile would be mostly empty.
#ifndef DOVETAIL_KERNELS_CONVOLVE_CUDA_DIRECT_CUH
#define DOVETAIL_KERNELS_CONVOLVE_CUDA_DIRECT_CUH

#include "cuda_tile.cuh"

DOVETAIL_OPEN_NAMESPACE

__device__ __forceinline__ float value_of(int8_t v) { return v; }
__device__ __forceinline__ float value_of(float v) { return v; }
__device__ __forceinline__ float value_of(__half v) { return __half2float(v); }
__device__ __forceinline__ float value_of(__nv_bfloat16 v) { return __bfloat162float(v); }

template <class V>
__device__ __forceinline__ void add_product(float& sum, V x, float w) {
  sum = fmaf(value_of(x), w, sum);
}
__device__ __forceinline__ void add_product(int32_t& sum, int8_t x, int32_t w) { sum += x * w; }

// body(spatial, tap) for the taps of a pixel that lie inside x.
template <class Body>
__device__ __forceinline__ void each_tap_inside(const CudaConvolve& a, const CudaPhase& phase, const CudaSource& s,
                                                const Body& body) {
  int32_t tap = 0;
  for (int d = 0; d < phase.taps[0]; ++d) {
    const int32_t at_d = s.axis[0] + d * a.off_step[0];
    for (int h = 0; h < phase.taps[1]; ++h) {
      const int32_t at_h = s.axis[1] + h * a.off_step[1];
      const bool is_row = static_cast<uint32_t>(at_d) < static_cast<uint32_t>(a.in[0]) &&
                          static_cast<uint32_t>(at_h) < static_cast<uint32_t>(a.in[1]);
      if (!is_row) {
        tap += phase.taps[2];
        continue;
      }
      const int32_t row = (at_d * a.in[1] + at_h) * a.in[2];
      for (int w = 0; w < phase.taps[2]; ++w, ++tap) {
        const int32_t at_w = s.axis[2] + w * a.off_step[2];
        if (static_cast<uint32_t>(at_w) < static_cast<uint32_t>(a.in[2])) body(row + at_w, tap);
      }
    }
  }
}

// As for tiles, kernels without a program have no calls. Weights are [tap, channel][all maps, padded to 8]: neighbours in the grid are neighbours in x, and read
// the same weight.
template <class X, bool has_program>
__global__ void __launch_bounds__(256) convolve_direct(const __grid_constant__ CudaConvolve a) {
  using Sum = typename ConvolveTypes<X>::Sum;
  using Y = typename ConvolveTypes<X>::Y;
  const CudaPhase& phase = a.phases[phase_of_block(a, blockIdx.x)];
  const uint32_t i = (blockIdx.x - phase.first_block) * 256 + threadIdx.x;
  // [image][map][position]; phase.pixels counts those of all maps
  if (i >= phase.pixels) return;
  CudaPixel pixel = pixel_at(phase, i);
  uint32_t map_of_all;
  pixel.image = a.by_all_maps.split(pixel.image, &map_of_all);
  const int32_t all = static_cast<int32_t>(map_of_all), group = static_cast<int32_t>(a.by_maps.quotient(map_of_all));
  const CudaSource s = source_of<false>(a, phase, pixel, 0);
  const X* const x = static_cast<const X*>(a.x) + pixel.image * a.x_image + int64_t{group} * a.channels * a.x_plane;
  const int64_t pitch = (a.groups * a.maps + 7) / 8 * 8;
  const Sum* const weights = reinterpret_cast<const Sum*>(static_cast<const char*>(a.weights) + phase.weights) + all;
  Sum sum = 0;
  each_tap_inside(a, phase, s, [&](int32_t at, int32_t tap) {
    const X* from = x + at;
    const Sum* w = weights + tap * a.channels * pitch;
#pragma unroll 4
    for (int c = 0; c < a.channels; ++c, from += a.x_plane, w += pitch) add_product(sum, *from, *w);
  });
  const int64_t offset = target_of<false>(a, phase, pixel) + all * a.y_plane;
  float value[1] = {float_of_sum(a, sum)};
  const ConvolveResults<false> result = {a, offset, all, 1, 1};
  finish_results<has_program>(result, value);
  store_results<Y>(result, value);
}

template <class X, bool has_program>
__global__ void __launch_bounds__(256) convolve_direct_hwc8(const __grid_constant__ CudaConvolve a) {
  using Sum = typename ConvolveTypes<X>::Sum;
  using Y = typename ConvolveTypes<X>::Y;
  const CudaPhase& phase = a.phases[phase_of_block(a, blockIdx.x)];
  const uint32_t i = (blockIdx.x - phase.first_block) * 256 + threadIdx.x;
  // [image][position][chunk of 8 maps]; phase.pixels counts those of all chunks
  if (i >= phase.pixels) return;
  uint32_t chunk;
  const CudaPixel pixel = pixel_at(phase, a.by_all_maps.split(i, &chunk));
  const CudaSource s = source_of<true>(a, phase, pixel, 0);
  const X* const x = static_cast<const X*>(a.x) + pixel.image * a.x_image;
  const int32_t first = static_cast<int32_t>(chunk) * 8, n_maps = a.groups * a.maps;
  const int64_t pitch = (n_maps + 7) / 8 * 8;
  const Sum* const weights = reinterpret_cast<const Sum*>(static_cast<const char*>(a.weights) + phase.weights) + first;
  Sum sums[8] = {};
  if (a.channels == 1 && a.maps == 1) {
    each_tap_inside(a, phase, s, [&](int32_t at, int32_t tap) {
      const X* const from = x + int64_t{at} * a.x_stored + first;
      const Sum* const w = weights + tap * pitch;
      Pack<X, 8> v;
      constexpr int kAtOnce = sizeof(X) == 4 ? 4 : 8;
      using Piece = Pack<X, kAtOnce>;
#pragma unroll
      for (int k = 0; k < 8; k += kAtOnce) {
        if (a.is_x_aligned) {
          const Piece piece = *reinterpret_cast<const Piece*>(from + k);
#pragma unroll
          for (int e = 0; e < kAtOnce; ++e) v.v[k + e] = piece.v[e];
        } else {
#pragma unroll
          for (int e = 0; e < kAtOnce; ++e) v.v[k + e] = from[k + e];
        }
      }
#pragma unroll
      for (int k = 0; k < 8; k += 4) {
        const Pack<Sum, 4> piece = *reinterpret_cast<const Pack<Sum, 4>*>(w + k);
#pragma unroll
        for (int e = 0; e < 4; ++e) add_product(sums[k + e], v.v[k + e], piece.v[e]);
      }
    });
  } else {
#pragma unroll
    for (int k = 0; k < 8; ++k) {
      if (first + k >= n_maps) break;
      const int32_t group = static_cast<int32_t>(a.by_maps.quotient(static_cast<uint32_t>(first + k)));
      each_tap_inside(a, phase, s, [&](int32_t at, int32_t tap) {
        const X* const from = x + int64_t{at} * a.x_stored + group * a.channels;
        const Sum* w = weights + tap * a.channels * pitch + k;
        for (int c = 0; c < a.channels; ++c, w += pitch) add_product(sums[k], from[c], *w);
      });
    }
  }
  float values[8];
#pragma unroll
  for (int k = 0; k < 8; ++k) values[k] = float_of_sum(a, sums[k]);
  const int64_t offset = target_of<true>(a, phase, pixel) + first;
  const ConvolveResults<true> results = {a, offset, first, 1, n_maps - first < 8 ? n_maps - first : 8};
  finish_results<has_program>(results, values);
  store_results<Y>(results, values);
}

__global__ void __launch_bounds__(256) convolve_pack(const __grid_constant__ CudaPacking p) {
  for (int64_t unit = first_item(); unit < packing_units(p); unit += item_stride()) pack_unit(p, unit);
}

DOVETAIL_CLOSE_NAMESPACE

#endif
