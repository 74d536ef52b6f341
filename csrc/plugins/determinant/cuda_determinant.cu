// SPDX-License-Identifier: Apache-2.0
// Determinant@1#cuda: a block for each matrix, which is kept in shared memory if it fits, else in the workspace.
#include "dovetail/cuda.hpp"
#include "rows.hpp"

using namespace dovetail;

namespace {

constexpr int kWarp = 32;
constexpr uint64_t kMostShared = 48 * 1024 - 64;         // less than any kernel may have, since it has a pivot as well
constexpr uint64_t kMostWorkspace = uint64_t{64} << 20;  // beyond one matrix: enough of them at once to fill a device

// The block's matrices are blockIdx.x, blockIdx.x + gridDim.x, ...
__global__ void __launch_bounds__(kBlock)
    determinants(const void* x, void* y, int32_t type, int64_t n, int64_t matrices, double* workspace) {
  extern __shared__ double shared[];
  __shared__ double pivot;
  __shared__ int64_t pivot_row;
  const int64_t size = n * n;
  double* const a = workspace != nullptr ? workspace + blockIdx.x * size : shared;
  const int lane = static_cast<int>(threadIdx.x) % kWarp, warp = static_cast<int>(threadIdx.x) / kWarp;
  const int warps = static_cast<int>(blockDim.x) / kWarp;
  for (int64_t matrix = blockIdx.x; matrix < matrices; matrix += gridDim.x) {
    bool found_nan = false;
    for (int64_t i = threadIdx.x; i < size; i += blockDim.x) {
      a[i] = load_float(x, type, matrix * size + i);
      found_nan |= a[i] != a[i];
    }
    if (__syncthreads_or(found_nan) != 0) {
      if (threadIdx.x == 0) store_float(NAN, y, type, matrix);
      continue;
    }
    PivotProduct product;
    bool is_singular = false;
    for (int64_t k = 0; k < n && !is_singular; ++k) {
      if (warp == 0) {  // the first lane has row k, so that it ends with a row that is there
        double most = -1.0;
        int64_t row = k;
        for (int64_t i = k + lane; i < n; i += kWarp) {
          const double v = fabs(a[i * n + k]);
          if (goes_before(v, most)) {
            most = v;
            row = i;
          }
        }
        for (int step = kWarp / 2; step > 0; step /= 2) {
          const double v = __shfl_down_sync(0xffffffffu, most, step);
          const int64_t other = __shfl_down_sync(0xffffffffu, row, step);
          if (goes_before(v, most) || (!goes_before(most, v) && other < row)) {
            most = v;
            row = other;
          }
        }
        if (lane == 0) {
          pivot_row = row;
          pivot = a[row * n + k];
        }
      }
      __syncthreads();
      const double top = pivot;
      const int64_t row = pivot_row;
      is_singular = top == 0.0;
      product.take(row == k ? top : -top);
      if (row != k) {
        for (int64_t j = k + threadIdx.x; j < n; j += blockDim.x) {
          const double v = a[k * n + j];
          a[k * n + j] = a[row * n + j];
          a[row * n + j] = v;
        }
      }
      __syncthreads();
      if (!is_singular) {
        for (int64_t i = k + 1 + warp; i < n; i += warps) {
          const double factor = a[i * n + k] / top;
          for (int64_t j = k + 1 + lane; j < n; j += kWarp) a[i * n + j] -= factor * a[k * n + j];
        }
      }
      __syncthreads();
    }
    if (threadIdx.x == 0) store_float(is_singular ? 0.0f : static_cast<float>(product.value()), y, type, matrix);
  }
}

// For the largest extents; nothing smaller needs more.
uint64_t workspace(const DeterminantParams&, const Descs& inputs, const Descs&, int) {
  const Desc x = inputs[0];
  const uint64_t each = matrix_bytes(x.max_extent(-1));
  if (each <= kMostShared) return 0;
  const uint64_t all = each * static_cast<uint64_t>(detail::volume(x.max(), x.rank() - 2));
  const uint64_t most = each > kMostWorkspace ? each : kMostWorkspace;
  return all < most ? all : most;
}

void enqueue(const DeterminantParams&, const Run& run) {
  const Tensor x = run.input(0), y = run.output(0);
  const int64_t matrices = y.volume(), n = x.extent(-1);
  if (matrices == 0) return;
  const uint64_t bytes = matrix_bytes(n);
  const bool is_shared = bytes <= kMostShared;
  uint64_t blocks = is_shared ? 1 << 20 : run.workspace_bytes() / bytes;
  if (blocks < 1) fail(DT_INTERNAL, "the workspace lacks %llu bytes", static_cast<unsigned long long>(bytes));
  if (blocks > static_cast<uint64_t>(matrices)) blocks = static_cast<uint64_t>(matrices);
  const unsigned threads = n <= 16 ? kWarp : n <= 64 ? 4 * kWarp : kBlock;
  launch(run, "determinants", determinants, static_cast<unsigned>(blocks), threads, is_shared ? bytes : 0,
         x.data<void>(), y.data<void>(), static_cast<int32_t>(x.type()), n, matrices,
         is_shared ? nullptr : run.workspace<double>());
}

constexpr Row<DeterminantParams> kRows[] = {
    {.tactic = "linear",
     .needs = kBuiltSm,
     .types = kDeterminantTypes,
     .formats = "linear",
     .workspace = workspace,
     .enqueue = enqueue,
     .traits = kCaptureSafe},
};

}  // namespace

DOVETAIL_IMPLEMENTS("Determinant@1#cuda", DeterminantParams, kRows)
