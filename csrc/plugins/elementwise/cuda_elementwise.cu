// SPDX-License-Identifier: Apache-2.0
// ElementWise@1#cuda. Threads walk over y in the order of storage, n neighbours at once.
#include "kernels/pointwise/cuda_broadcast.cuh"
#include "rows.hpp"

using namespace dovetail;

namespace {

// Of int32_t and int64_t.
struct OnBits {
  template <int n, class T, class Y>
  static __device__ void compute(int32_t kind, const T (&a)[n], const T (&b)[n], Y (&y)[n]) {
    switch (kind) {
      case kBitAnd:
        return apply_pairs<DT_ISA::BitAnd>(a, b, y);
      case kBitOr:
        return apply_pairs<DT_ISA::BitOr>(a, b, y);
      case kBitXor:
        return apply_pairs<DT_ISA::BitXor>(a, b, y);
      case kShiftLeft:
        return apply_pairs<DT_ISA::ShiftLeft>(a, b, y);
      default:
        return apply_pairs<DT_ISA::ShiftRight>(a, b, y);
    }
  }
};

struct Arithmetic {
  template <int n, class T, class Y>
  static __device__ void compute(int32_t kind, const T (&a)[n], const T (&b)[n], Y (&y)[n]) {
    switch (kind) {
      case kSum:
        return apply_pairs<DT_ISA::Sum>(a, b, y);
      case kProd:
        return apply_pairs<DT_ISA::Prod>(a, b, y);
      case kMax:
        return apply_pairs<DT_ISA::Max>(a, b, y);
      case kMin:
        return apply_pairs<DT_ISA::Min>(a, b, y);
      case kSub:
        return apply_pairs<DT_ISA::Sub>(a, b, y);
      case kDiv:
        return apply_pairs<DT_ISA::Div>(a, b, y);
      case kPow:
        return apply_pairs<DT_ISA::Pow>(a, b, y);
      case kFloorDiv:
        return apply_pairs<DT_ISA::FloorDiv>(a, b, y);
      case kMod:
        return apply_pairs<DT_ISA::Mod>(a, b, y);
      case kFmod:
        return apply_pairs<DT_ISA::Fmod>(a, b, y);
      default:
        if constexpr (std::is_integral_v<T>) OnBits::compute(kind, a, b, y);
    }
  }
};

struct Comparison {
  template <int n, class T, class Y>
  static __device__ void compute(int32_t kind, const T (&a)[n], const T (&b)[n], Y (&y)[n]) {
    switch (kind) {
      case kEqual:
        return apply_pairs<DT_ISA::Equal>(a, b, y);
      case kGreater:
        return apply_pairs<DT_ISA::Greater>(a, b, y);
      default:
        return apply_pairs<DT_ISA::Less>(a, b, y);
    }
  }
};

struct Logic {
  template <int n, class T, class Y>
  static __device__ void compute(int32_t kind, const T (&a)[n], const T (&b)[n], Y (&y)[n]) {
    switch (kind) {
      case kAnd:
        return apply_pairs<DT_ISA::And>(a, b, y);
      case kOr:
        return apply_pairs<DT_ISA::Or>(a, b, y);
      case kXor:
        return apply_pairs<DT_ISA::Xor>(a, b, y);
      default:
        return apply_pairs<DT_ISA::Equal>(a, b, y);
    }
  }
};

template <class Ops, int n, class T, class Y>
__global__ void __launch_bounds__(kBlock)
    elementwise_kernel(const __grid_constant__ BroadcastJob<2> job, Y* to, int32_t kind) {
  for (int64_t first = first_item() * n; first < job.total; first += item_stride() * n) {
    const int count = job.total - first < n ? static_cast<int>(job.total - first) : n;
    T a[n], b[n];
    Y y[n];
    load_operand<n>(job, job.operand[0], first, count, a);
    load_operand<n>(job, job.operand[1], first, count, b);
    Ops::compute(kind, a, b, y);
    store_result<n>(job, to, first, count, y);
  }
}

template <class Ops, class T, class Y>
void start(const ElementwiseParams& params, const Run& run) {
  constexpr int n = kBroadcastPack<T>;
  const Tensor a = run.input(0), b = run.input(1), y = run.output(0);
  const BroadcastJob<2> job = broadcast_job<n, 2>({a, b}, y);
  launch(run, "elementwise", elementwise_kernel<Ops, n, T, Y>, blocks_for(job.total, n), kBlock, 0, job, y.data<Y>(),
         params.op);
}

void enqueue(const ElementwiseParams& params, const Run& run) {
  if (view_of(run.output(0)).stored() == 0) return;
  const DataType type = run.input(0).type();
  const bool compares = run.output(0).type() == DataType::kBOOL;
  const auto with = [&](auto t) {
    typedef decltype(t) T;
    if (compares) return start<Comparison, T, uint8_t>(params, run);
    start<Arithmetic, T, T>(params, run);
  };
  if (type == DataType::kBOOL) return start<Logic, uint8_t, uint8_t>(params, run);
  if (type == DataType::kINT32) return with(int32_t());
  if (type == DataType::kINT64) return with(int64_t());
  with_float_type(type, with);
}

#define ELEMENTWISE_ROW(unused, format) \
  {.tactic = format,                    \
   .needs = kBuiltSm,                   \
   .types = kArithmeticTypes,           \
   .formats = format,                   \
   .fits = fits_elementwise,            \
   .enqueue = enqueue,                  \
   .traits = kCaptureSafe},             \
      {.tactic = format "_bool",        \
       .needs = kBuiltSm,               \
       .types = kComparisonTypes,       \
       .formats = format,               \
       .fits = fits_elementwise,        \
       .enqueue = enqueue,              \
       .traits = kCaptureSafe},

constexpr Row<ElementwiseParams> kRows[] = {DOVETAIL_EACH_FORMAT(ELEMENTWISE_ROW, 0)};

}  // namespace

DOVETAIL_IMPLEMENTS("ElementWise@1#cuda", ElementwiseParams, kRows)
