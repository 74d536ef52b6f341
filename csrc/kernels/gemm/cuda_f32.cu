// SPDX-License-Identifier: Apache-2.0
// float32 matrix products in full float32. In shared memory a slab is [k][row of a] and [k][column of b]; each thread
// keeps 8 x 8 or 4 x 4 sums in registers and reads both operands as float4. A long k is summed in pieces, which are
// added to y: a chain of k float32 additions would lose what grows with k.
#include "cuda_gemm.cuh"

DOVETAIL_OPEN_NAMESPACE
namespace cuda_gemm {

namespace {

template <int size, int own, int stages>
struct Tile {
  static constexpr int kStages = stages;  // slabs on their way and being multiplied
  static constexpr int kSize = size, kOwn = own, kSlab = 16, kThreads = size / own * (size / own);
  static constexpr int kPitch = size + 4;  // threads side by side in k write to different banks
  static constexpr int kItems = size * kSlab / kThreads;
  static_assert(kThreads % size == 0 && kItems * kThreads == size * kSlab, "");
};

// Brings one operand: neighbouring threads take neighbours in memory, along k or along the rows.
template <class T>
struct Loader {
  const float* x;
  int64_t rows[T::kItems];  // offsets; -1 outside
  bool along_k;

  __device__ __forceinline__ int row_of(int item) const {
    return along_k ? threadIdx.x / T::kSlab + item * (T::kThreads / T::kSlab) : threadIdx.x % T::kSize;
  }
  __device__ __forceinline__ int k_of(int item) const {
    return along_k ? threadIdx.x % T::kSlab : threadIdx.x / T::kSize + item * (T::kThreads / T::kSize);
  }
  __device__ __forceinline__ void start(const CudaGemm& args, const GemmGroup& index, int t, const void* data,
                                        int64_t batch, int64_t first) {
    x = static_cast<const float*>(data) + gemm_offset(args.batch, t, batch);
    along_k = DT_ISA::gemm_is_unit(args.k, t) && !DT_ISA::gemm_is_unit(index, t);
#pragma unroll
    for (int i = 0; i < T::kItems; ++i) {
      const int64_t row = first + row_of(i);
      rows[i] = row < index.n ? gemm_offset(index, t, row) : -1;
    }
  }
  __device__ __forceinline__ void fetch(const CudaGemm& args, int t, int64_t k0, float* to) const {
#pragma unroll
    for (int i = 0; i < T::kItems; ++i) {
      const int64_t k = k0 + k_of(i);
      const bool is_inside = rows[i] >= 0 && k < args.k.n;
      copy_async<4>(to + k_of(i) * T::kPitch + row_of(i), is_inside ? x + rows[i] + gemm_offset(args.k, t, k) : x,
                    is_inside ? 4 : 0);
    }
  }
};

// Writes a thread's sums, or adds them to what y has; the last ones with bias and ending.
template <class T, bool has_program>
__device__ __forceinline__ void put(const CudaGemm& args, const Block& block, int own_m, int own_n,
                                    const float (&sums)[T::kOwn][T::kOwn], bool adds, bool is_last) {
  constexpr int kStep = T::kSize / (T::kOwn / 4);
  float* const y = static_cast<float*>(args.y);
  const int64_t batch = gemm_offset(args.batch, kGemmY, block.batch);
  const auto column_of = [&](int j) { return block.n + own_n + j / 4 * kStep + j % 4; };
  int64_t columns[T::kOwn];  // offsets
  float bias[T::kOwn] = {};
  int count = 0;
#pragma unroll
  for (int j = 0; j < T::kOwn; ++j) {
    const int64_t n = column_of(j);
    if (n < args.n.n) count = j + 1;
    columns[j] = n < args.n.n ? gemm_offset(args.n, kGemmY, n) : 0;
  }
  if (is_last) load_bias(args, column_of, bias);
#pragma unroll
  for (int i = 0; i < T::kOwn; ++i) {
    const int64_t m = block.m + own_m + i / 4 * kStep + i % 4;
    if (m >= args.m.n) continue;
    const int64_t row = batch + gemm_offset(args.m, kGemmY, m);
    float v[T::kOwn];
#pragma unroll
    for (int j = 0; j < T::kOwn; ++j) v[j] = (adds && j < count ? y[row + columns[j]] : 0.0f) + sums[i][j] + bias[j];
    if (is_last) finish<has_program>(args, row, columns, count, v);
#pragma unroll
    for (int j = 0; j < T::kOwn; ++j) {
      if (j < count) y[row + columns[j]] = v[j];
    }
  }
}

template <class T, bool has_program>
__global__ void __launch_bounds__(T::kThreads) gemm_f32(const __grid_constant__ CudaGemm args) {
  __shared__ __align__(16) float memory[T::kStages][2][T::kSlab * T::kPitch];
  const Block block = block_at(args, T::kSize, T::kSize);
  Loader<T> a, b;
  a.start(args, args.m, kGemmA, args.a, block.batch, block.m);
  b.start(args, args.n, kGemmB, args.b, block.batch, block.n);

  // Lanes are 4 x 8: a warp reads 4 float4 of rows and 8 of columns.
  constexpr int kWarpsAlongN = T::kSize / T::kOwn / 8, kStep = T::kSize / (T::kOwn / 4);
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const int own_m = (warp / kWarpsAlongN * 4 + lane / 8) * 4, own_n = (warp % kWarpsAlongN * 8 + lane % 8) * 4;

  const int64_t slabs = (args.k.n + T::kSlab - 1) / T::kSlab;
  const auto fetch = [&](int64_t slab) {
    a.fetch(args, kGemmA, slab * T::kSlab, memory[slab % T::kStages][0]);
    b.fetch(args, kGemmB, slab * T::kSlab, memory[slab % T::kStages][1]);
  };
  // As many slabs in a piece as there are pieces, but enough that the cost of writing y is negligible.
  int64_t piece = 64;
  while (piece * piece < slabs) piece *= 2;
#pragma unroll 1
  for (int64_t slab = 0; slab < T::kStages - 1; ++slab) {
    if (slab < slabs) fetch(slab);
    commit_copies();
  }
  for (int64_t slab = 0, first = 0; first == 0 || first < slabs; first += piece) {
    const int64_t end = first + piece < slabs ? first + piece : slabs;
    float sums[T::kOwn][T::kOwn] = {};
    for (; slab < end; ++slab) {
      wait_for_copies<T::kStages - 2>();
      __syncthreads();  // this slab is complete, and no thread reads the one that fetch overwrites
      if (slab + T::kStages - 1 < slabs) fetch(slab + T::kStages - 1);
      commit_copies();
      const float* const as = memory[slab % T::kStages][0] + own_m;
      const float* const bs = memory[slab % T::kStages][1] + own_n;
#pragma unroll
      for (int k = 0; k < T::kSlab; ++k) {
        float p[T::kOwn], q[T::kOwn];
#pragma unroll
        for (int i = 0; i < T::kOwn; i += 4) {
          const float4 v = *reinterpret_cast<const float4*>(as + k * T::kPitch + i / 4 * kStep);
          const float4 w = *reinterpret_cast<const float4*>(bs + k * T::kPitch + i / 4 * kStep);
          p[i] = v.x, p[i + 1] = v.y, p[i + 2] = v.z, p[i + 3] = v.w;
          q[i] = w.x, q[i + 1] = w.y, q[i + 2] = w.z, q[i + 3] = w.w;
        }
#pragma unroll
        for (int i = 0; i < T::kOwn; ++i) {
#pragma unroll
          for (int j = 0; j < T::kOwn; ++j) sums[i][j] = fmaf(p[i], q[j], sums[i][j]);
        }
      }
    }
    put<T, has_program>(args, block, own_m, own_n, sums, first > 0, end == slabs);
  }
}

template <class T>
void start(const Run& run, const CudaGemm& args, uint32_t blocks) {
  const bool has_program = args.ending.program.n_steps > 0;
  launch(run, "gemm_f32", has_program ? gemm_f32<T, true> : gemm_f32<T, false>, blocks, T::kThreads, 0, args);
}

}  // namespace

void f32_128x128(const Run& run, const CudaGemm& args, uint32_t blocks) { start<Tile<128, 8, 2>>(run, args, blocks); }
void f32_64x64(const Run& run, const CudaGemm& args, uint32_t blocks) { start<Tile<64, 4, 4>>(run, args, blocks); }
// For few rows and columns: many blocks share the multiprocessors.
void f32_32x32(const Run& run, const CudaGemm& args, uint32_t blocks) { start<Tile<32, 4, 4>>(run, args, blocks); }

}  // namespace cuda_gemm
DOVETAIL_CLOSE_NAMESPACE
