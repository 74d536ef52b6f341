// SPDX-License-Identifier: Apache-2.0
// float16 and bfloat16 matrix products on the tensor cores. In shared memory a slab is a row of 64 bytes of k for each
// row of a and each column of b; pieces of 16 bytes are swapped within a row so that neither writers nor ldmatrix meet
// in a bank.
#include "cuda_gemm.cuh"

DOVETAIL_OPEN_NAMESPACE
namespace cuda_gemm {

namespace {

template <class X_, int size, int warps_along_m, int warps_along_n>
struct Tile {
  using X = X_;
  static constexpr int kSize = size, kWarpsAlongM = warps_along_m;
  static constexpr int kThreads = 32 * warps_along_m * warps_along_n;
  static constexpr int kSlab = 32, kRow = 64;  // elements and bytes of k
  static constexpr int kStages = 3, kStageBytes = 2 * size * kRow;
  static constexpr int kWarpM = size / warps_along_m, kWarpN = size / warps_along_n;
  static constexpr int kItems = size * 4 / kThreads;  // chunks of 8 k of an operand that a thread loads
  static_assert(kItems * kThreads == size * 4 && kThreads % size == 0 && kStages * kStageBytes <= 48 * 1024, "");
  static_assert(kWarpM % 16 == 0 && kWarpN % 16 == 0, "");

  // Byte of 16-byte piece `piece` of a row.
  __device__ static int place(int row, int piece) { return row * kRow + ((piece ^ (row / 2 % 4)) * 16); }
};

using Chunk = Pack<uint16_t, 8>;

template <class T>
struct Loader {
  const uint16_t* x;
  int64_t rows[T::kItems];  // offsets; -1 outside
  bool in_pieces;           // else chunks go through registers, and neighbouring threads take neighbouring rows
  Chunk held[T::kItems];

  __device__ __forceinline__ int row_of(int item) const {
    return in_pieces ? threadIdx.x / 4 + item * (T::kThreads / 4) : threadIdx.x % T::kSize;
  }
  __device__ __forceinline__ int chunk_of(int item) const {
    return in_pieces ? threadIdx.x % 4 : threadIdx.x / T::kSize + item * (T::kThreads / T::kSize);
  }
  __device__ __forceinline__ void start(const CudaGemm& args, const GemmGroup& index, int t, const void* data,
                                        bool pieces, int64_t batch, int64_t first) {
    x = static_cast<const uint16_t*>(data) + gemm_offset(args.batch, t, batch);
    in_pieces = pieces;
#pragma unroll
    for (int i = 0; i < T::kItems; ++i) {
      const int64_t row = first + row_of(i);
      rows[i] = row < index.n ? gemm_offset(index, t, row) : -1;
    }
  }
  __device__ __forceinline__ void fetch(const CudaGemm& args, int t, int64_t k0, char* to) {
#pragma unroll
    for (int i = 0; i < T::kItems; ++i) {
      const int64_t k = k0 + chunk_of(i) * 8, left = rows[i] >= 0 ? args.k.n - k : 0;
      if (in_pieces) {
        copy_async<16>(to + T::place(row_of(i), chunk_of(i)), left > 0 ? x + rows[i] + k : x, left > 0 ? 16 : 0);
      } else {
#pragma unroll
        for (int c = 0; c < 8; ++c) {
          held[i].v[c] = c < left ? x[rows[i] + gemm_offset(args.k, t, k + c)] : uint16_t{0};
        }
      }
    }
  }
  // Puts down what fetch left in registers.
  __device__ __forceinline__ void put(char* to) const {
    if (in_pieces) return;
#pragma unroll
    for (int i = 0; i < T::kItems; ++i) *reinterpret_cast<Chunk*>(to + T::place(row_of(i), chunk_of(i))) = held[i];
  }
};

template <class T, bool has_program>
__global__ void __launch_bounds__(T::kThreads) gemm_halves(const __grid_constant__ CudaGemm args) {
  using X = typename T::X;
  __shared__ __align__(128) char memory[T::kStages * T::kStageBytes];
  const Block block = block_at(args, T::kSize, T::kSize);
  Loader<T> a, b;
  a.start(args, args.m, kGemmA, args.a, args.a_in_pieces, block.batch, block.m);
  b.start(args, args.n, kGemmB, args.b, args.b_in_pieces, block.batch, block.n);
  constexpr int kOfA = T::kSize * T::kRow;  // bytes

  const int64_t slabs = (args.k.n + T::kSlab - 1) / T::kSlab;
  const auto stage_of = [&](int64_t slab) { return memory + slab % T::kStages * T::kStageBytes; };
  const auto fetch = [&](int64_t slab) {
    a.fetch(args, kGemmA, slab * T::kSlab, stage_of(slab));
    b.fetch(args, kGemmB, slab * T::kSlab, stage_of(slab) + kOfA);
  };
  const auto put = [&](int64_t slab) {
    a.put(stage_of(slab));
    b.put(stage_of(slab) + kOfA);
  };
#pragma unroll 1
  for (int slab = 0; slab < T::kStages - 1; ++slab) {
    if (slab < slabs) {
      fetch(slab);
      put(slab);
    }
    commit_copies();
  }

  constexpr int kPartsM = T::kWarpM / 16, kPartsN = T::kWarpN / 8;
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const int warp_m = warp % T::kWarpsAlongM * T::kWarpM, warp_n = warp / T::kWarpsAlongM * T::kWarpN;
  const int m_row = warp_m + lane % 16, n_row = T::kSize + warp_n + lane % 8 + lane / 16 * 8;

  float sums[kPartsM][kPartsN][4] = {};
  for (int64_t slab = 0; slab < slabs; ++slab) {
    wait_for_copies<T::kStages - 2>();
    __syncthreads();  // this slab is complete, and no thread reads the one that fetch overwrites
    const int64_t next = slab + T::kStages - 1;
    if (next < slabs) fetch(next);
    commit_copies();
    const char* const stage = stage_of(slab);
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      uint32_t p[kPartsM][4], q[kPartsN / 2][4];
#pragma unroll
      for (int i = 0; i < kPartsM; ++i) load_matrices(p[i], stage + T::place(m_row + i * 16, half * 2 + lane / 16));
#pragma unroll
      for (int j = 0; j < kPartsN / 2; ++j) {
        load_matrices(q[j], stage + T::place(n_row + j * 16, half * 2 + lane / 8 % 2));
      }
#pragma unroll
      for (int i = 0; i < kPartsM; ++i) {
#pragma unroll
        for (int j = 0; j < kPartsN; ++j) {
          multiply(sums[i][j], p[i], q[j / 2][j % 2 * 2], q[j / 2][j % 2 * 2 + 1], X());
        }
      }
    }
    if (next < slabs) put(next);
  }
  wait_for_copies<0>();

  // A thread's sums of one part: rows lane / 4 and 8 further, columns lane % 4 * 2 and the next.
  X* const y = static_cast<X*>(args.y);
  const int64_t batch = gemm_offset(args.batch, kGemmY, block.batch);
  constexpr int kColumns = 2 * kPartsN;
  const auto column_of = [&](int j) { return block.n + warp_n + j / 2 * 8 + lane % 4 * 2 + j % 2; };
  int64_t columns[kColumns];  // offsets
  float bias[kColumns];
  int count = 0;
#pragma unroll
  for (int j = 0; j < kColumns; ++j) {
    const int64_t n = column_of(j);
    if (n < args.n.n) count = j + 1;
    columns[j] = n < args.n.n ? gemm_offset(args.n, kGemmY, n) : 0;
  }
  load_bias(args, column_of, bias);
#pragma unroll
  for (int i = 0; i < kPartsM; ++i) {
#pragma unroll
    for (int k = 0; k < 2; ++k) {
      const int64_t m = block.m + warp_m + i * 16 + lane / 4 + k * 8;
      if (m >= args.m.n) continue;
      const int64_t row = batch + gemm_offset(args.m, kGemmY, m);
      float v[kColumns];
#pragma unroll
      for (int j = 0; j < kColumns; ++j) v[j] = sums[i][j / 2][k * 2 + j % 2] + bias[j];
      finish<has_program>(args, row, columns, count, v);
#pragma unroll
      for (int j = 0; j < kColumns; j += 2) {
        Pack<X, 2> pair;
        pair.v[0] = float_to<X>(v[j]);
        pair.v[1] = float_to<X>(v[j + 1]);
        if (j + 1 < count && args.y_in_pairs) {
          *reinterpret_cast<Pack<X, 2>*>(y + row + columns[j]) = pair;
        } else {
          if (j < count) y[row + columns[j]] = pair.v[0];
          if (j + 1 < count) y[row + columns[j + 1]] = pair.v[1];
        }
      }
    }
  }
}

template <class T>
void start_with(const Run& run, const CudaGemm& args, uint32_t blocks) {
  const bool has_program = args.ending.program.n_steps > 0;
  launch(run, "gemm_halves", has_program ? gemm_halves<T, true> : gemm_halves<T, false>, blocks, T::kThreads, 0, args);
}

template <int... shape>
void start(const Run& run, const CudaGemm& args, uint32_t blocks) {
  if (args.type == DT_TYPE_HALF) {
    start_with<Tile<__half, shape...>>(run, args, blocks);
  } else {
    start_with<Tile<__nv_bfloat16, shape...>>(run, args, blocks);
  }
}

}  // namespace

void halves_128x128(const Run& run, const CudaGemm& args, uint32_t blocks) { start<128, 2, 4>(run, args, blocks); }
void halves_64x64(const Run& run, const CudaGemm& args, uint32_t blocks) { start<64, 2, 2>(run, args, blocks); }
// For few rows and columns: many blocks share the multiprocessors.
void halves_32x32(const Run& run, const CudaGemm& args, uint32_t blocks) { start<32, 2, 2>(run, args, blocks); }

}  // namespace cuda_gemm
DOVETAIL_CLOSE_NAMESPACE
