// SPDX-License-Identifier: Apache-2.0
// How a finished tile of sums leaves a block: staged in shared memory, then written with neighbouring threads on
// neighbouring elements, whichever way round the product has them.
#ifndef DOVETAIL_KERNELS_CONVOLVE_CUDA_TILE_CUH
#define DOVETAIL_KERNELS_CONVOLVE_CUDA_TILE_CUH

#include "dovetail/epilogue.cuh"
#include "kernels/convolve/cuda_args.hpp"

DOVETAIL_OPEN_NAMESPACE

// What a kernel makes of x: its type, that of y and of the sums.
template <class X>
struct ConvolveTypes {
  using Y = X;
  using Sum = float;
};
template <>
struct ConvolveTypes<int8_t> {
  using Y = float;
  using Sum = int32_t;
};

// A call of its own: without an epilogue, kernels are as they would be if there were none.
static __device__ __noinline__ float absorbed_into(const CudaConvolve& a, float value, int64_t offset, int32_t map) {
  const int64_t image = a.first_image + offset / a.y_image;
  return apply_epilogue(a.epilogue, value, offset + a.first_image * a.y_image, image, map);
}

// What is stored of a sum at an element of y, `map` counted over all groups.
__device__ __forceinline__ float finished(const CudaConvolve& a, float sum, int32_t map, int64_t offset) {
  const float value = a.bias != nullptr ? sum + float_at(a.bias, a.bias_type, map) : sum;
  return a.epilogue.n_steps > 0 ? absorbed_into(a, value, offset, map) : value;
}
__device__ __forceinline__ float finished(const CudaConvolve& a, int32_t sum, int32_t map, int64_t offset) {
  return finished(a, static_cast<float>(sum) * a.scale, map, offset);
}

// 8 neighbouring channels of hwc8.
template <class Y>
__device__ __forceinline__ void store_channels(Y* to, const float (&values)[8], bool is_aligned) {
  constexpr int kAtOnce = 16 / sizeof(Y);
#pragma unroll
  for (int i = 0; i < 8; i += kAtOnce) {
    Pack<Y, kAtOnce> pack;
#pragma unroll
    for (int k = 0; k < kAtOnce; ++k) pack.v[k] = float_to<Y>(values[i + k]);
    if (is_aligned) {
      *reinterpret_cast<Pack<Y, kAtOnce>*>(to + i) = pack;
    } else {
#pragma unroll
      for (int k = 0; k < kAtOnce; ++k) to[i + k] = pack.v[k];
    }
  }
}

// The stage holds kRows maps of all kPixels pixels: [map][pixel] for linear tensors, [pixel][map] for hwc8. The padding
// spreads the writers over the banks.
template <bool is_hwc8, int kPixels, int kRows, int kPadding>
struct Stage {
  static constexpr int kPitch = (is_hwc8 ? kRows : kPixels) + kPadding;
  static constexpr int kWords = (is_hwc8 ? kPixels : kRows) * kPitch;
  static constexpr int kBytes = kWords * 4 + kPixels * 8;  // and the places of the pixels in y
  __device__ static int at(int pixel, int row) { return is_hwc8 ? pixel * kPitch + row : row * kPitch + pixel; }
};

// Elements of y where the pixels of the tile lie; -1 behind the last one.
template <bool is_hwc8, int kPixels, int kThreads>
__device__ __forceinline__ void list_targets(const CudaConvolve& a, const CudaPhase& phase, uint32_t first_pixel,
                                             int64_t* targets) {
  for (int i = threadIdx.x; i < kPixels; i += kThreads) {
    const uint32_t pixel = first_pixel + i;
    targets[i] = pixel < phase.pixels ? target_of<is_hwc8>(a, phase, pixel_at(phase, pixel)) : -1;
  }
}

// Writes what is staged. map_of(row) is the map, counted from the first of the tile; 8 rows of hwc8 are neighbours.
template <class Y, bool is_hwc8, int kPixels, int kRows, int kPadding, int kThreads, class Sum, class MapOf>
__device__ __forceinline__ void write_stage(const CudaConvolve& a, const CudaTile& tile, int tile_maps,
                                            const Sum* words, const int64_t* targets, const MapOf& map_of) {
  using S = Stage<is_hwc8, kPixels, kRows, kPadding>;
  const int first_map = tile.map_tile * tile_maps, first_of_all = tile.group * a.maps;
  Y* const y = static_cast<Y*>(a.y);
  if constexpr (!is_hwc8) {
    static_assert(kThreads % kPixels == 0, "");
    const int pixel = threadIdx.x % kPixels;
    const int64_t target = targets[pixel];
    if (target < 0) return;
#pragma unroll 4
    for (int row = threadIdx.x / kPixels; row < kRows; row += kThreads / kPixels) {
      const int map = first_map + map_of(row);
      if (map >= a.maps) continue;
      const int64_t offset = target + (first_of_all + map) * a.y_plane;
      y[offset] = float_to<Y>(finished(a, words[S::at(pixel, row)], first_of_all + map, offset));
    }
  } else {
    constexpr int kChunks = kRows / 8;
    for (int i = threadIdx.x; i < kPixels * kChunks; i += kThreads) {
      const int pixel = i / kChunks, row = i % kChunks * 8;
      const int map = first_map + map_of(row);
      const int64_t target = targets[pixel];
      if (target < 0 || map >= a.maps) continue;
      float values[8];
#pragma unroll
      for (int k = 0; k < 8; ++k) {
        const int all = first_of_all + map + k;
        values[k] = map + k < a.maps ? finished(a, words[S::at(pixel, row + k)], all, target + all) : 0.0f;
      }
      store_channels(y + target + first_of_all + map, values, a.is_y_aligned != 0);
    }
  }
}

DOVETAIL_CLOSE_NAMESPACE

#endif
