// SPDX-License-Identifier: Apache-2.0
// How a finished tile of sums leaves a block: staged in shared memory, then written with neighbouring threads on
// neighbouring elements, whichever way round the product has them.
#ifndef DOVETAIL_KERNELS_CONVOLVE_CUDA_TILE_CUH
#define DOVETAIL_KERNELS_CONVOLVE_CUDA_TILE_CUH

#include "kernels/convolve/cuda_args.hpp"
#include "kernels/cuda/ending.cuh"

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

// Results of neighbouring maps of one pixel, and where they belong.
template <bool is_hwc8>
struct ConvolveResults {
  static constexpr bool kAreNeighbours = is_hwc8;
  const CudaConvolve& a;
  int64_t first;      // offset of the first one, from y
  int32_t map, step;  // its map, counted over all groups, and maps from one to the next
  int32_t count;      // that are there
  __device__ __forceinline__ int64_t apart() const { return is_hwc8 ? 1 : step * a.y_plane; }
  __device__ __forceinline__ bool has(int i) const { return i < count; }
  __device__ __forceinline__ int64_t offset(int i) const { return first + i * apart() + a.first_image * a.y_image; }
  __device__ __forceinline__ int64_t image(int) const { return a.first_image + a.by_y_image.quotient(first); }
  __device__ __forceinline__ int64_t channel(int i) const { return map + i * step; }
  __device__ __forceinline__ ConvolveResults from(int i) const {
    return {a, first + i * apart(), map + i * step, step, count - i};
  }
};

// Bias, residual and limits: what needs no program.
template <bool is_hwc8, int n>
__device__ __forceinline__ void begin_results(const ConvolveResults<is_hwc8>& results, float (&v)[n]) {
  const CudaConvolve& a = results.a;
  if (a.bias != nullptr) {
    float bias[n];
    load_each(
        a.bias, a.bias_type, [&](int i) { return results.has(i); }, [&](int i) { return results.channel(i); }, bias);
#pragma unroll
    for (int i = 0; i < n; ++i) v[i] += bias[i];
  }
  begin_ending(a.ending, results, v);
}

// The program, a call of its own; results are handed over in registers.
template <bool is_hwc8>
static __device__ __noinline__ float4 absorbed_into(const CudaConvolve& a, float4 values, int64_t first, int32_t map,
                                                    int32_t step, int32_t count) {
  float v[4] = {values.x, values.y, values.z, values.w};
  apply_epilogue(a.ending.program, v, ConvolveResults<is_hwc8>{a, first, map, step, count});
  return make_float4(v[0], v[1], v[2], v[3]);
}

template <bool has_program, bool is_hwc8, int n>
__device__ __forceinline__ void finish_results(const ConvolveResults<is_hwc8>& results, float (&v)[n]) {
  const CudaConvolve& a = results.a;
  begin_results(results, v);
  if constexpr (has_program) {
#pragma unroll
    for (int i = 0; i < n; i += 4) {
      float four[4] = {};
#pragma unroll
      for (int k = 0; k < 4 && i + k < n; ++k) four[k] = v[i + k];
      const ConvolveResults<is_hwc8> rest = results.from(i);
      const float4 done = absorbed_into<is_hwc8>(a, make_float4(four[0], four[1], four[2], four[3]), rest.first,
                                                 rest.map, rest.step, rest.count);
      four[0] = done.x, four[1] = done.y, four[2] = done.z, four[3] = done.w;
#pragma unroll
      for (int k = 0; k < 4 && i + k < n; ++k) v[i + k] = four[k];
    }
  }
}

__device__ __forceinline__ float float_of_sum(const CudaConvolve&, float sum) { return sum; }
__device__ __forceinline__ float float_of_sum(const CudaConvolve& a, int32_t sum) {
  return static_cast<float>(sum) * a.scale;
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

// Stores n results; of hwc8 they are a chunk, with zeros behind the last map.
template <class Y, bool is_hwc8, int n>
__device__ __forceinline__ void store_results(const ConvolveResults<is_hwc8>& results, float (&v)[n]) {
  Y* const to = static_cast<Y*>(results.a.y) + results.first;
  if constexpr (is_hwc8) {
#pragma unroll
    for (int i = 0; i < n; ++i) v[i] = results.has(i) ? v[i] : 0.0f;
    store_channels(to, v, results.a.is_y_aligned != 0);
  } else {
#pragma unroll
    for (int i = 0; i < n; ++i) {
      if (results.has(i)) to[i * results.apart()] = float_to<Y>(v[i]);
    }
  }
}

// n staged sums, `apart` words from one to the next, on their way to y.
template <class Y, int n, bool has_program, bool is_hwc8, class Sum>
__device__ __forceinline__ void put_results(const ConvolveResults<is_hwc8>& results, const Sum* words, int apart) {
  float v[n];
#pragma unroll
  for (int i = 0; i < n; ++i) v[i] = float_of_sum(results.a, words[i * apart]);
  finish_results<has_program>(results, v);
  store_results<Y>(results, v);
}

// Writes what is staged. map_of(row) is the map, counted from the first of the tile; 8 rows that begin at a multiple of
// 8 are neighbours.
template <class Y, bool has_program, bool is_hwc8, int kPixels, int kRows, int kPadding, int kThreads, class Sum,
          class MapOf>
__device__ __forceinline__ void write_stage(const CudaConvolve& a, const CudaTile& tile, int tile_maps,
                                            const Sum* words, const int64_t* targets, const MapOf& map_of) {
  using S = Stage<is_hwc8, kPixels, kRows, kPadding>;
  const int first_map = tile.map_tile * tile_maps, first_of_all = tile.group * a.maps;
  if constexpr (!is_hwc8) {
    static_assert(kThreads % kPixels == 0, "");
    const int pixel = threadIdx.x % kPixels;
    const int64_t target = targets[pixel];
    if (target < 0) return;
    constexpr int kStep = kThreads / kPixels, kAtOnce = kRows / kStep < 4 ? kRows / kStep : 4;
    static_assert(kStep * kAtOnce <= 8 && kRows % (kStep * kAtOnce) == 0, "maps taken at once lie equally far apart");
    for (int row = threadIdx.x / kPixels; row < kRows; row += kStep * kAtOnce) {
      const int map = first_map + map_of(row), left = (a.maps - map + kStep - 1) / kStep;
      if (left <= 0) break;
      const ConvolveResults<false> results = {a, target + (first_of_all + map) * a.y_plane, first_of_all + map, kStep,
                                              left < kAtOnce ? left : kAtOnce};
      put_results<Y, kAtOnce, has_program>(results, words + S::at(pixel, row), S::at(0, kStep));
    }
  } else {
    constexpr int kChunks = kRows / 8;
    for (int i = threadIdx.x; i < kPixels * kChunks; i += kThreads) {
      const int pixel = i / kChunks, row = i % kChunks * 8;
      const int map = first_map + map_of(row), left = a.maps - map, all = first_of_all + map;
      const int64_t target = targets[pixel];
      if (target < 0 || left <= 0) continue;
      const ConvolveResults<true> results = {a, target + all, all, 1, left < 8 ? left : 8};
      put_results<Y, 8, has_program>(results, words + S::at(pixel, row), 1);
    }
  }
}

DOVETAIL_CLOSE_NAMESPACE

#endif
