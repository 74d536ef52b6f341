// SPDX-License-Identifier: Apache-2.0
// Select@1#cuda.
#include "kernels/pointwise/cuda_broadcast.cuh"
#include "rows.hpp"

using namespace dovetail;

namespace {

template <int n, class T>
__global__ void __launch_bounds__(kBlock) select_kernel(const __grid_constant__ BroadcastJob<3> job, T* to) {
  for (int64_t first = first_item() * n; first < job.total; first += item_stride() * n) {
    const int count = job.total - first < n ? static_cast<int>(job.total - first) : n;
    uint8_t condition[n];
    T a[n], b[n], y[n];
    load_operand<n>(job, job.operand[0], first, count, condition);
    load_operand<n>(job, job.operand[1], first, count, a);
    load_operand<n>(job, job.operand[2], first, count, b);
#pragma unroll
    for (int j = 0; j < n; ++j) y[j] = condition[j] != 0 ? a[j] : b[j];
    store_result<n>(job, to, first, count, y);
  }
}

void enqueue(const SelectParams&, const Run& run) {
  const Tensor condition = run.input(0), a = run.input(1), b = run.input(2), y = run.output(0);
  if (view_of(y).stored() == 0) return;
  with_width_of(y.type(), [&](auto t) {
    typedef decltype(t) T;
    constexpr int n = kBroadcastPack<T>;
    const BroadcastJob<3> job = broadcast_job<n, 3>({condition, a, b}, y);
    launch(run, "select", select_kernel<n, T>, blocks_for(job.total, n), kBlock, 0, job, y.data<T>());
  });
}

#define SELECT_ROW(unused, format) \
  {.tactic = format,               \
   .needs = kBuiltSm,              \
   .types = kSelectTypes,          \
   .formats = format,              \
   .fits = fits_select,            \
   .enqueue = enqueue,             \
   .traits = kCaptureSafe},

constexpr Row<SelectParams> kRows[] = {DOVETAIL_EACH_FORMAT(SELECT_ROW, 0)};

}  // namespace

DOVETAIL_IMPLEMENTS("Select@1#cuda", SelectParams, kRows)
