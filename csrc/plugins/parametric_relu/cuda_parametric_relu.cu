// SPDX-License-Identifier: Apache-2.0
// ParametricReLU@1#cuda.
#include "kernels/pointwise/cuda_broadcast.cuh"
#include "rows.hpp"

using namespace dovetail;

namespace {

template <int n, class T>
__global__ void __launch_bounds__(kBlock) parametric_relu_kernel(const __grid_constant__ BroadcastJob<2> job, T* to) {
  for (int64_t first = first_item() * n; first < job.total; first += item_stride() * n) {
    const int count = job.total - first < n ? static_cast<int>(job.total - first) : n;
    T x[n], slopes[n], y[n];
    load_operand<n>(job, job.operand[0], first, count, x);
    load_operand<n>(job, job.operand[1], first, count, slopes);
    apply_pairs<DT_ISA::SlopeOfNegatives>(x, slopes, y);
    store_result<n>(job, to, first, count, y);
  }
}

void enqueue(const ParametricReluParams&, const Run& run) {
  const Tensor x = run.input(0), slopes = run.input(1), y = run.output(0);
  if (view_of(y).stored() == 0) return;
  with_float_type(y.type(), [&](auto t) {
    typedef decltype(t) T;
    constexpr int n = kBroadcastPack<T>;
    const BroadcastJob<2> job = broadcast_job<n, 2>({x, slopes}, y);
    launch(run, "parametric_relu", parametric_relu_kernel<n, T>, blocks_for(job.total, n), kBlock, 0, job, y.data<T>());
  });
}

#define PARAMETRIC_RELU_ROW(unused, format) \
  {.tactic = format,                        \
   .needs = kBuiltSm,                       \
   .types = kParametricReluTypes,           \
   .formats = format,                       \
   .fits = fits_parametric_relu,            \
   .enqueue = enqueue,                      \
   .traits = kCaptureSafe},

constexpr Row<ParametricReluParams> kRows[] = {DOVETAIL_EACH_FORMAT(PARAMETRIC_RELU_ROW, 0)};

}  // namespace

DOVETAIL_IMPLEMENTS("ParametricReLU@1#cuda", ParametricReluParams, kRows)
