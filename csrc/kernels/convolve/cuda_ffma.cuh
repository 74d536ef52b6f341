// SPDX-License-Identifier: Apache-2.0
// float32 convolution as a tiled product in full float32. In shared memory a slab is [k][pixel] and [k][map]; each
// thread keeps kThreadPixels x kThreadMaps sums in registers and reads both operands as float4.
#ifndef DOVETAIL_KERNELS_CONVOLVE_CUDA_FFMA_CUH
#define DOVETAIL_KERNELS_CONVOLVE_CUDA_FFMA_CUH

#include "cuda_tile.cuh"
#include "kernels/cuda/ptx.cuh"

DOVETAIL_OPEN_NAMESPACE

template <bool is_hwc8_, int pixels, int maps, int thread_pixels, int thread_maps, int blocks>
struct FfmaTile {
  static constexpr bool is_hwc8 = is_hwc8_;
  static constexpr int kPixels = pixels, kMaps = maps, kThreadPixels = thread_pixels, kThreadMaps = thread_maps;
  static constexpr int kSlab = 16, kThreads = pixels / thread_pixels * (maps / thread_maps);
  static constexpr int kBlocks = blocks;                     // on one multiprocessor, at least
  static constexpr int kPitch = pixels + (is_hwc8 ? 4 : 0);  // hwc8 is turned round: 4 lanes write one pixel
  static constexpr int kStageRows = maps / (thread_maps / 4);
  using Staged = Stage<is_hwc8, pixels, kStageRows, 4>;
  static constexpr int kSlabs = 2 * kSlab * (kPitch + maps) * 4;
  static constexpr int kBytes = kSlabs > Staged::kBytes ? kSlabs : Staged::kBytes;
  // What a thread brings of each slab of x: 8 k of a pixel (linear), or 4 (hwc8).
  static constexpr int kItemK = is_hwc8 ? 4 : 8;
  static constexpr int kItems = pixels * kSlab / kItemK / kThreads;
  static constexpr int kSources = is_hwc8 ? kItems : 1;  // pixels that it looks after
  static constexpr int kVectors = pixels / 4 * kSlab / kThreads;
  static constexpr int kWeightVectors = maps / 4 * kSlab / kThreads;
  static_assert(kThreads % 32 == 0 && kItems * kItemK * kThreads == pixels * kSlab, "");
  static_assert(is_hwc8 || kThreads % pixels == 0, "");
};

template <class T>
struct FfmaLoader {
  CudaSource sources[T::kSources];
  float held[T::is_hwc8 ? T::kItems : 1][4];  // of hwc8, on their way to shared memory

  __device__ __forceinline__ int pixel_of(int item) const {
    return T::is_hwc8 ? threadIdx.x / 4 + item * (T::kThreads / 4) : threadIdx.x % T::kPixels;
  }

  __device__ __forceinline__ void start(const CudaConvolve& a, const CudaPhase& phase, const CudaTile& tile) {
    const uint32_t first = tile.pixel_tile * T::kPixels;
    const int32_t channel = tile.group * a.channels;
    if constexpr (!T::is_hwc8) {
      const uint32_t own = a.is_x_aligned ? threadIdx.x % (T::kPixels / 4) * 4 : pixel_of(0);
      sources[0] = source_of_pixel<false>(a, phase, first + own, channel);
    } else {
#pragma unroll
      for (int i = 0; i < T::kSources; ++i) sources[i] = source_of_pixel<true>(a, phase, first + pixel_of(i), channel);
    }
  }

  // Sets slab `k0 / kSlab` of x on its way into `to`.
  __device__ __forceinline__ void fetch(const CudaConvolve& a, const CudaPhase& phase, uint32_t k0, float* to) {
    const float* const x = static_cast<const float*>(a.x);
    if constexpr (T::is_hwc8) {
      const CudaTap tap = tap_at(a, phase, k0 + threadIdx.x % 4 * 4);
      const int left = a.channels - tap.channel;
#pragma unroll
      for (int i = 0; i < T::kItems; ++i) {
        const bool is_inside = reads_inside(a, sources[i], tap);
        const float* const from = x + element_at<true>(a, sources[i], tap);
        if (is_inside && left >= 4 && a.is_x_aligned) {
          const float4 v = *reinterpret_cast<const float4*>(from);
          held[i][0] = v.x, held[i][1] = v.y, held[i][2] = v.z, held[i][3] = v.w;
        } else {
#pragma unroll
          for (int c = 0; c < 4; ++c) held[i][c] = is_inside && c < left ? from[c] : 0.0f;
        }
      }
    } else if (a.is_x_aligned) {  // one kernel element, without steps: pixels lie side by side
#pragma unroll
      for (int i = 0; i < T::kVectors; ++i) {
        const int at = threadIdx.x + i * T::kThreads, k = at / (T::kPixels / 4);
        const int32_t channel = static_cast<int32_t>(k0) + k;
        const bool is_inside = sources[0].axis[0] >= 0 && channel < a.channels;
        copy_async<16>(to + k * T::kPitch + at % (T::kPixels / 4) * 4, x + sources[0].at + channel * a.x_plane,
                       is_inside ? 16 : 0);
      }
    } else {
#pragma unroll
      for (int i = 0; i < T::kItems; ++i) {
        const int chunk = threadIdx.x / T::kPixels + i * (T::kThreads / T::kPixels);
        float* const row = to + chunk * 8 * T::kPitch + pixel_of(0);
        const uint32_t k = k0 + chunk * 8;
        if (a.channel_step % 8 == 0) {
          const CudaTap tap = tap_at(a, phase, k);
          const int left = reads_inside(a, sources[0], tap) ? a.channels - tap.channel : 0;
          const float* from = x + element_at<false>(a, sources[0], tap);
#pragma unroll
          for (int c = 0; c < 8; ++c, from += a.x_plane) copy_async<4>(row + c * T::kPitch, from, c < left ? 4 : 0);
        } else {  // few channels: 8 neighbours in k belong to several taps
#pragma unroll 1
          for (int c = 0; c < 8; ++c) {
            const CudaTap tap = tap_at(a, phase, k + c);
            copy_async<4>(row + c * T::kPitch, x + element_at<false>(a, sources[0], tap),
                          reads_inside(a, sources[0], tap) ? 4 : 0);
          }
        }
      }
    }
  }

  // Puts down what fetch left in registers.
  __device__ __forceinline__ void put(float* to) const {
    if constexpr (T::is_hwc8) {
#pragma unroll
      for (int i = 0; i < T::kItems; ++i) {
#pragma unroll
        for (int c = 0; c < 4; ++c) to[(threadIdx.x % 4 * 4 + c) * T::kPitch + pixel_of(i)] = held[i][c];
      }
    }
  }
};

// Kernels without a program have no calls, which cost registers.
template <class T, bool has_program>
__global__ void __launch_bounds__(T::kThreads, has_program&& T::kBlocks > 4 ? 4 : T::kBlocks)
    convolve_ffma(const __grid_constant__ CudaConvolve a) {
  __shared__ __align__(16) unsigned char memory[T::kBytes];
  float* const xs = reinterpret_cast<float*>(memory);  // two slabs
  float* const ws = xs + 2 * T::kSlab * T::kPitch;

  const CudaTile tile = tile_of_block(a, blockIdx.x);
  const CudaPhase& phase = a.phases[tile.phase];
  const int slabs = phase.slabs;
  const float* weights = reinterpret_cast<const float*>(static_cast<const char*>(a.weights) + phase.weights) +
                         (int64_t{tile.group} * static_cast<int32_t>(a.by_map_tiles.divisor) + tile.map_tile) * slabs *
                             (T::kSlab * T::kMaps);
  FfmaLoader<T> loader;
  loader.start(a, phase, tile);

  const auto fetch = [&](int slab) {
    float* const to = ws + slab % 2 * (T::kSlab * T::kMaps);
#pragma unroll
    for (int i = 0; i < T::kWeightVectors; ++i) {
      const int at = (threadIdx.x + i * T::kThreads) * 4;
      copy_async<16>(to + at, weights + at, 16);
    }
    weights += T::kSlab * T::kMaps;
    loader.fetch(a, phase, slab * T::kSlab, xs + slab % 2 * (T::kSlab * T::kPitch));
    commit_copies();
  };
  const auto put = [&](int slab) { loader.put(xs + slab % 2 * (T::kSlab * T::kPitch)); };

  // Lanes are 8 x 4: a warp reads 8 float4 of pixels and 4 of maps.
  constexpr int kWarpsAlongPixels = T::kPixels / T::kThreadPixels / 8;
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const int own_pixel = (warp % kWarpsAlongPixels * 8 + lane % 8) * 4;
  const int own_map = (warp / kWarpsAlongPixels * 4 + lane / 8) * 4;
  constexpr int kPixelStep = T::kPixels / (T::kThreadPixels / 4), kMapStep = T::kStageRows;

  float sums[T::kThreadPixels][T::kThreadMaps] = {};
  if (slabs > 0) {
    fetch(0);
    put(0);
  }
  for (int slab = 0; slab < slabs; ++slab) {
    wait_for_copies<0>();
    __syncthreads();  // this slab is complete, and nobody reads the other any more
    const bool has_next = slab + 1 < slabs;
    if (has_next) fetch(slab + 1);
    const float* const xk = xs + slab % 2 * (T::kSlab * T::kPitch) + own_pixel;
    const float* const wk = ws + slab % 2 * (T::kSlab * T::kMaps) + own_map;
#pragma unroll
    for (int k = 0; k < T::kSlab; ++k) {
      float p[T::kThreadPixels], m[T::kThreadMaps];
#pragma unroll
      for (int i = 0; i < T::kThreadPixels; i += 4) {
        const float4 v = *reinterpret_cast<const float4*>(xk + k * T::kPitch + i / 4 * kPixelStep);
        p[i] = v.x, p[i + 1] = v.y, p[i + 2] = v.z, p[i + 3] = v.w;
      }
#pragma unroll
      for (int i = 0; i < T::kThreadMaps; i += 4) {
        const float4 v = *reinterpret_cast<const float4*>(wk + k * T::kMaps + i / 4 * kMapStep);
        m[i] = v.x, m[i + 1] = v.y, m[i + 2] = v.z, m[i + 3] = v.w;
      }
#pragma unroll
      for (int i = 0; i < T::kThreadPixels; ++i) {
#pragma unroll
        for (int j = 0; j < T::kThreadMaps; ++j) sums[i][j] = fmaf(p[i], m[j], sums[i][j]);
      }
    }
    if (has_next) put(slab + 1);
  }

  using S = typename T::Staged;
  float* const stage = reinterpret_cast<float*>(memory);
  int64_t* const targets = reinterpret_cast<int64_t*>(memory + S::kWords * 4);
  __syncthreads();
  list_targets<T::is_hwc8, T::kPixels, T::kThreads>(a, phase, tile.pixel_tile * T::kPixels, targets);
#pragma unroll
  for (int part = 0; part < T::kThreadMaps / 4; ++part) {
    if (part > 0) __syncthreads();
#pragma unroll
    for (int i = 0; i < T::kThreadPixels; i += 4) {
      const int pixel = i / 4 * kPixelStep + own_pixel;
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        const int m = part * 4;
        if constexpr (T::is_hwc8) {
          *reinterpret_cast<float4*>(stage + S::at(pixel + j, own_map)) =
              make_float4(sums[i + j][m], sums[i + j][m + 1], sums[i + j][m + 2], sums[i + j][m + 3]);
        } else {
          *reinterpret_cast<float4*>(stage + S::at(pixel, own_map + j)) =
              make_float4(sums[i][m + j], sums[i + 1][m + j], sums[i + 2][m + j], sums[i + 3][m + j]);
        }
      }
    }
    __syncthreads();
    write_stage<float, has_program, T::is_hwc8, T::kPixels, T::kStageRows, 4, T::kThreads>(
        a, tile, T::kMaps, stage, targets, [&](int row) { return part * T::kStageRows + row; });
  }
}

template <class T>
void launch_ffma(const Run& run, const CudaConvolve& args, uint32_t blocks) {
  const bool has_program = args.ending.program.n_steps > 0;
  launch(run, "convolve_ffma", has_program ? convolve_ffma<T, true> : convolve_ffma<T, false>, blocks, T::kThreads, 0,
         args);
}

DOVETAIL_CLOSE_NAMESPACE

#endif
