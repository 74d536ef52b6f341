// SPDX-License-Identifier: Apache-2.0
// ElementWise@1#cuda. Threads walk over y in the order of storage, n neighbours at once.
#include "kernels/pointwise/cuda_broadcast.cuh"
#include "rows.hpp"

using namespace dovetail;

namespace {

#define OPERATION_CASE(Name) \
  case k##Name:              \
    return apply_pairs<DT_ISA::Name>(a, b, y);

// Of int32_t and int64_t.
struct OnBits {
  template <int n, class T, class Y>
  static __device__ void compute(int32_t kind, const T (&a)[n], const T (&b)[n], Y (&y)[n]) {
    switch (kind) { DOVETAIL_ON_BITS(OPERATION_CASE) }
  }
};

struct Arithmetic {
  template <int n, class T, class Y>
  static __device__ void compute(int32_t kind, const T (&a)[n], const T (&b)[n], Y (&y)[n]) {
    switch (kind) {
      DOVETAIL_ARITHMETIC(OPERATION_CASE)
      default:
        if constexpr (std::is_integral_v<T>) OnBits::compute(kind, a, b, y);
    }
  }
};

struct Comparison {
  template <int n, class T, class Y>
  static __device__ void compute(int32_t kind, const T (&a)[n], const T (&b)[n], Y (&y)[n]) {
    switch (kind) { DOVETAIL_COMPARISONS(OPERATION_CASE) }
  }
};

struct Logic {
  template <int n, class T, class Y>
  static __device__ void compute(int32_t kind, const T (&a)[n], const T (&b)[n], Y (&y)[n]) {
    switch (kind) {
      DOVETAIL_LOGIC(OPERATION_CASE)
      default:
        return apply_pairs<DT_ISA::Equal>(a, b, y);
    }
  }
};
#undef OPERATION_CASE

// `end` applies the absorbed layers to the results.
template <class Ops, int n, class T, class Y, class End>
__global__ void __launch_bounds__(kBlock) elementwise_kernel(const __grid_constant__ BroadcastJob<2> job, Y* to,
                                                             int32_t kind, const __grid_constant__ End end) {
  for (int64_t first = first_item() * n; first < job.total; first += item_stride() * n) {
    const int count = job.total - first < n ? static_cast<int>(job.total - first) : n;
    T a[n], b[n];
    Y y[n];
    load_operand<n>(job, job.operand[0], first, count, a);
    load_operand<n>(job, job.operand[1], first, count, b);
    Ops::compute(kind, a, b, y);
    end(first, count, y);
    store_result<n>(job, to, first, count, y);
  }
}

template <class Ops, class T, class Y, class End>
void start(const ElementwiseParams& params, const Run& run, const End& end) {
  constexpr int n = kBroadcastPack<T>;
  const Tensor a = run.input(0), b = run.input(1), y = run.output(0);
  const BroadcastJob<2> job = broadcast_job<n, 2>({a, b}, y);
  launch(run, "elementwise", elementwise_kernel<Ops, n, T, Y, End>, blocks_for(job.total, n), kBlock, 0, job,
         y.data<Y>(), params.op, end);
}

void enqueue(const ElementwiseParams& params, const Run& run) {
  if (view_of(run.output(0)).stored() == 0) return;
  const DataType type = run.input(0).type();
  const bool compares = run.output(0).type() == DataType::kBOOL;
  const auto with = [&](auto t) {
    typedef decltype(t) T;
    if (compares) return start<Comparison, T, uint8_t>(params, run, NoEnding());
    if constexpr (std::is_integral_v<T>) {
      start<Arithmetic, T, T>(params, run, NoEnding());
    } else {
      with_ending(run, [&](const auto& end) { start<Arithmetic, T, T>(params, run, end); });
    }
  };
  if (type == DataType::kBOOL) return start<Logic, uint8_t, uint8_t>(params, run, NoEnding());
  if (type == DataType::kINT32) return with(int32_t());
  if (type == DataType::kINT64) return with(int64_t());
  with_float_type(type, with);
}

#define ELEMENTWISE_ROW(unused, format)          \
  {.tactic = format,                             \
   .needs = kBuiltSm,                            \
   .types = kArithmeticTypes,                    \
   .formats = format,                            \
   .fits = fits_elementwise,                     \
   .enqueue = enqueue,                           \
   .traits = kCaptureSafe,                       \
   .absorb = absorb_on_cuda<ElementwiseParams>}, \
      {.tactic = format "_bool",                 \
       .needs = kBuiltSm,                        \
       .types = kComparisonTypes,                \
       .formats = format,                        \
       .fits = fits_elementwise,                 \
       .enqueue = enqueue,                       \
       .traits = kCaptureSafe},

constexpr Row<ElementwiseParams> kRows[] = {DOVETAIL_EACH_FORMAT(ELEMENTWISE_ROW, 0)};

}  // namespace

DOVETAIL_IMPLEMENTS("ElementWise@1#cuda", ElementwiseParams, kRows)
