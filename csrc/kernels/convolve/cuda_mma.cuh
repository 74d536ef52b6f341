// SPDX-License-Identifier: Apache-2.0
// Convolution of float16, bfloat16 and int8 as a tiled product on the tensor cores. In shared memory a slab is a row of
// 64 bytes of k for each pixel and each map, whichever the format of x; pieces of 16 bytes are swapped within a row so
// that neither writers nor ldmatrix meet in a bank.
#ifndef DOVETAIL_KERNELS_CONVOLVE_CUDA_MMA_CUH
#define DOVETAIL_KERNELS_CONVOLVE_CUDA_MMA_CUH

#include "cuda_tile.cuh"
#include "kernels/cuda/ptx.cuh"

DOVETAIL_OPEN_NAMESPACE

template <class X_, bool is_hwc8_, int pixels, int maps, int warps_along_pixels, int warps_along_maps, int blocks>
struct MmaTile {
  using X = X_;
  static constexpr bool is_hwc8 = is_hwc8_;
  static constexpr int kPixels = pixels, kMaps = maps;
  static constexpr int kWarpsAlongPixels = warps_along_pixels, kWarpsAlongMaps = warps_along_maps;
  static constexpr int kThreads = 32 * warps_along_pixels * warps_along_maps, kBlocks = blocks;
  static constexpr int kRow = 64, kSlab = kRow / sizeof(X);  // bytes and elements of k
  static constexpr int kStages = 3;
  static constexpr int kStageBytes = (pixels + maps) * kRow;
  static constexpr int kWarpPixels = pixels / warps_along_pixels, kWarpMaps = maps / warps_along_maps;
  static constexpr int kStageRows = warps_along_maps * 8;
  static constexpr int kPadding = is_hwc8 ? 8 : 4;
  using Staged = Stage<is_hwc8, pixels, kStageRows, kPadding>;
  static constexpr int kBytes = kStages * kStageBytes > Staged::kBytes ? kStages * kStageBytes : Staged::kBytes;
  static constexpr int kChunks = kSlab / 8, kChunkBytes = 8 * sizeof(X);
  static constexpr int kItems = pixels * kChunks / kThreads;  // chunks of x that a thread brings of each slab
  static constexpr int kSources = is_hwc8 ? kItems : 1;
  static constexpr int kWeightVectors = maps * 4 / kThreads;
  static_assert(kItems * kThreads == pixels * kChunks && kWeightVectors * kThreads == maps * 4, "");
  static_assert(kWarpPixels % 16 == 0 && kWarpMaps % 16 == 0 && kBytes <= 48 * 1024, "");

  // Byte of 16-byte piece `piece` of a row.
  __device__ static int place(int row, int piece) { return row * kRow + ((piece ^ (row / 2 % 4)) * 16); }
  __device__ static int chunk_place(int row, int chunk) {
    return sizeof(X) == 2 ? place(row, chunk) : place(row, chunk / 2) + chunk % 2 * 8;
  }
};

// Elements as the integers that are moved.
template <int bytes>
struct RawElement {
  using Type = uint16_t;
};
template <>
struct RawElement<1> {
  using Type = uint8_t;
};

template <class T>
struct MmaLoader {
  using Raw = typename RawElement<sizeof(typename T::X)>::Type;
  using Chunk = Pack<Raw, 8>;
  static constexpr int kPixelStep = T::kThreads / T::kChunks;  // hwc8: lanes side by side bring chunks of one pixel
  static constexpr int kChunkStep = T::is_hwc8 ? 1 : T::kThreads / T::kPixels;
  static_assert(T::is_hwc8 || T::kThreads % T::kPixels == 0, "");

  CudaSource sources[T::kSources];
  Chunk held[T::is_hwc8 ? 1 : T::kItems];  // of linear tensors, on their way to shared memory

  __device__ __forceinline__ int pixel_of(int item) const {
    return T::is_hwc8 ? threadIdx.x / T::kChunks + item * kPixelStep : threadIdx.x % T::kPixels;
  }
  __device__ __forceinline__ int chunk_of(int item) const {
    return T::is_hwc8 ? threadIdx.x % T::kChunks : threadIdx.x / T::kPixels + item * kChunkStep;
  }

  __device__ __forceinline__ void start(const CudaConvolve& a, const CudaPhase& phase, const CudaTile& tile) {
#pragma unroll
    for (int i = 0; i < T::kSources; ++i) {
      sources[i] =
          source_of_pixel<T::is_hwc8>(a, phase, tile.pixel_tile * T::kPixels + pixel_of(i), tile.group * a.channels);
    }
  }

  // Sets the slab of x that begins at k0 on its way into `to`.
  __device__ __forceinline__ void fetch(const CudaConvolve& a, const CudaPhase& phase, uint32_t k0, char* to) {
    const Raw* const x = static_cast<const Raw*>(a.x);
    if constexpr (T::is_hwc8) {
      const CudaTap tap = tap_at(a, phase, k0 + chunk_of(0) * 8);
      const int left = a.channels - tap.channel;  // channels behind the last one hold anything
      const int used = left < 8 ? left : 8;
#pragma unroll
      for (int i = 0; i < T::kItems; ++i) {
        char* const place = to + T::chunk_place(pixel_of(i), chunk_of(i));
        const Raw* const from = x + element_at<true>(a, sources[i], tap);
        const int n = reads_inside(a, sources[i], tap) ? used : 0;
        if (a.is_x_aligned) {
          copy_async<T::kChunkBytes>(place, from, n * static_cast<int>(sizeof(Raw)));
        } else {
          Chunk chunk;
#pragma unroll
          for (int c = 0; c < 8; ++c) chunk.v[c] = c < n ? from[c] : Raw{0};
          *reinterpret_cast<Chunk*>(place) = chunk;
        }
      }
    } else {
#pragma unroll
      for (int i = 0; i < T::kItems; ++i) {
        const uint32_t k = k0 + chunk_of(i) * 8;
        if (a.channel_step % 8 == 0) {
          const CudaTap tap = tap_at(a, phase, k);
          const int left = reads_inside(a, sources[0], tap) ? a.channels - tap.channel : 0;
          const Raw* from = x + element_at<false>(a, sources[0], tap);
#pragma unroll
          for (int c = 0; c < 8; ++c, from += a.x_plane) held[i].v[c] = c < left ? *from : Raw{0};
        } else {  // few channels: 8 neighbours in k belong to several taps
#pragma unroll
          for (int c = 0; c < 8; ++c) {
            const CudaTap tap = tap_at(a, phase, k + c);
            held[i].v[c] = reads_inside(a, sources[0], tap) ? x[element_at<false>(a, sources[0], tap)] : Raw{0};
          }
        }
      }
    }
  }

  // Puts down what fetch left in registers.
  __device__ __forceinline__ void put(char* to) const {
    if constexpr (!T::is_hwc8) {
#pragma unroll
      for (int i = 0; i < T::kItems; ++i) {
        *reinterpret_cast<Chunk*>(to + T::chunk_place(pixel_of(i), chunk_of(i))) = held[i];
      }
    }
  }
};

// Kernels without a program have no calls, which cost registers.
template <class T, bool has_program>
__global__ void __launch_bounds__(T::kThreads, has_program&& T::kBlocks > 4 ? 4 : T::kBlocks)
    convolve_mma(const __grid_constant__ CudaConvolve a) {
  using X = typename T::X;
  using Sum = typename ConvolveTypes<X>::Sum;
  __shared__ __align__(128) char memory[T::kBytes];

  const CudaTile tile = tile_of_block(a, blockIdx.x);
  const CudaPhase& phase = a.phases[tile.phase];
  const int slabs = phase.slabs;
  const char* weights = static_cast<const char*>(a.weights) + phase.weights +
                        (int64_t{tile.group} * static_cast<int32_t>(a.by_map_tiles.divisor) + tile.map_tile) * slabs *
                            (T::kMaps * T::kRow);
  MmaLoader<T> loader;
  loader.start(a, phase, tile);

  const auto stage_of = [&](int slab) { return memory + slab % T::kStages * T::kStageBytes; };
  const auto fetch = [&](int slab) {
    char* const to = stage_of(slab);
#pragma unroll
    for (int i = 0; i < T::kWeightVectors; ++i) {
      const int at = threadIdx.x + i * T::kThreads;
      copy_async<16>(to + T::place(T::kPixels + at / 4, at % 4), weights + at * 16, 16);
    }
    weights += T::kMaps * T::kRow;
    loader.fetch(a, phase, slab * T::kSlab, to);
  };

#pragma unroll
  for (int slab = 0; slab < T::kStages - 1; ++slab) {
    if (slab < slabs) {
      fetch(slab);
      loader.put(stage_of(slab));
    }
    commit_copies();
  }

  constexpr int kPixelParts = T::kWarpPixels / 16, kMapParts = T::kWarpMaps / 8;
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const int warp_pixel = warp % T::kWarpsAlongPixels * T::kWarpPixels;
  const int warp_map = warp / T::kWarpsAlongPixels * T::kWarpMaps;
  const int pixel_row = warp_pixel + lane % 16;
  const int map_row = T::kPixels + warp_map + lane % 8 + lane / 16 * 8;

  Sum sums[kPixelParts][kMapParts][4] = {};
  for (int slab = 0; slab < slabs; ++slab) {
    wait_for_copies<T::kStages - 2>();
    __syncthreads();  // this slab is complete, and nobody reads the one that fetch overwrites
    const int next = slab + T::kStages - 1;
    if (next < slabs) fetch(next);
    commit_copies();
    const char* const stage = stage_of(slab);
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      uint32_t p[kPixelParts][4], m[kMapParts / 2][4];
#pragma unroll
      for (int i = 0; i < kPixelParts; ++i) {
        load_matrices(p[i], stage + T::place(pixel_row + i * 16, half * 2 + lane / 16));
      }
#pragma unroll
      for (int j = 0; j < kMapParts / 2; ++j) {
        load_matrices(m[j], stage + T::place(map_row + j * 16, half * 2 + lane / 8 % 2));
      }
#pragma unroll
      for (int i = 0; i < kPixelParts; ++i) {
#pragma unroll
        for (int j = 0; j < kMapParts; ++j)
          multiply(sums[i][j], p[i], m[j / 2][j % 2 * 2], m[j / 2][j % 2 * 2 + 1], X());
      }
    }
    if (next < slabs) loader.put(stage_of(next));
  }
  wait_for_copies<0>();

  // A thread's sums of one part: pixels lane / 4 and 8 further, maps lane % 4 * 2 and the next.
  using S = typename T::Staged;
  Sum* const stage = reinterpret_cast<Sum*>(memory);
  int64_t* const targets = reinterpret_cast<int64_t*>(memory + S::kWords * 4);
  __syncthreads();
  list_targets<T::is_hwc8, T::kPixels, T::kThreads>(a, phase, tile.pixel_tile * T::kPixels, targets);
#pragma unroll
  for (int part = 0; part < kMapParts; ++part) {
    if (part > 0) __syncthreads();
    const int row = warp / T::kWarpsAlongPixels * 8 + lane % 4 * 2;
#pragma unroll
    for (int i = 0; i < kPixelParts; ++i) {
#pragma unroll
      for (int k = 0; k < 4; ++k) {
        stage[S::at(warp_pixel + i * 16 + lane / 4 + k / 2 * 8, row + k % 2)] = sums[i][part][k];
      }
    }
    __syncthreads();
    write_stage<typename ConvolveTypes<X>::Y, has_program, T::is_hwc8, T::kPixels, T::kStageRows, T::kPadding,
                T::kThreads>(a, tile, T::kMaps, stage, targets,
                             [&](int at) { return at / 8 * T::kWarpMaps + part * 8 + at % 8; });
  }
}

template <class T>
void launch_mma(const Run& run, const CudaConvolve& args, uint32_t blocks) {
  const bool has_program = args.ending.program.n_steps > 0;
  launch(run, "convolve_mma", has_program ? convolve_mma<T, true> : convolve_mma<T, false>, blocks, T::kThreads, 0,
         args);
}

DOVETAIL_CLOSE_NAMESPACE

#endif
