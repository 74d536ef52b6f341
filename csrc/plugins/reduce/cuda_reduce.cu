// SPDX-License-Identifier: Apache-2.0
// Reduce@1#cuda: one kernel, for teams of threads; see dovetail/cuda/reduce.cuh.
#include "kernels/reduce/cuda_reduce.cuh"
#include "rows.hpp"

using namespace dovetail;

namespace {

// How elements become partial results, and these the output.
template <class T>
struct Element {
  typedef float Part;
  __device__ static float least() { return -INFINITY; }
  __device__ static float greatest() { return INFINITY; }
  __device__ static float read(T v) { return to_float(v); }
  __device__ static T written(float v) { return float_to<T>(v); }
  __device__ static float mean(float v, int64_t count) { return v / static_cast<float>(count); }
};
template <class T>
struct IntElement {
  typedef long long Part;
  __device__ static Part least() { return sizeof(T) == 4 ? INT32_MIN : INT64_MIN; }
  __device__ static Part greatest() { return sizeof(T) == 4 ? INT32_MAX : INT64_MAX; }
  __device__ static Part read(T v) { return v; }
  __device__ static T written(Part v) { return static_cast<T>(v); }
  __device__ static Part mean(Part v, int64_t count) { return count > 0 ? v / count : 0; }
};
template <>
struct Element<int32_t> : IntElement<int32_t> {};
template <>
struct Element<int64_t> : IntElement<int64_t> {};

// Integers wrap around: unsigned.
typedef unsigned long long Bits;
struct Sum {
  template <class T>
  using Part = typename Element<T>::Part;
  template <class T>
  __device__ static Part<T> identity() {
    return 0;
  }
  __device__ float operator()(float a, float v) const { return a + v; }
  __device__ long long operator()(long long a, long long v) const {
    return static_cast<long long>(static_cast<Bits>(a) + static_cast<Bits>(v));
  }
};
struct Product {
  // float64: relative errors of all factors add up, and they do not cancel as in a sum.
  template <class T>
  using Part = std::conditional_t<std::is_same_v<typename Element<T>::Part, float>, double, long long>;
  template <class T>
  __device__ static Part<T> identity() {
    return 1;
  }
  __device__ double operator()(double a, double v) const { return a * v; }
  __device__ long long operator()(long long a, long long v) const {
    return static_cast<long long>(static_cast<Bits>(a) * static_cast<Bits>(v));
  }
};
// NaN where either is.
struct Maximum {
  template <class T>
  using Part = typename Element<T>::Part;
  template <class T>
  __device__ static Part<T> identity() {
    return Element<T>::least();
  }
  template <class V>
  __device__ V operator()(V a, V v) const {
    return (v > a) | (v != v) ? v : a;
  }
};
struct Minimum {
  template <class T>
  using Part = typename Element<T>::Part;
  template <class T>
  __device__ static Part<T> identity() {
    return Element<T>::greatest();
  }
  template <class V>
  __device__ V operator()(V a, V v) const {
    return (v < a) | (v != v) ? v : a;
  }
};

template <Team team, class T, class Op>
__global__ void __launch_bounds__(kBlock) reduce(const T* x, T* y, CudaReduction over, int64_t blocks, bool is_mean) {
  typedef Element<T> E;
  for (int64_t block = blockIdx.x; block < blocks; block += gridDim.x) {
    const Member<team> member(block);
    const bool is_there = member.result < over.results;
    const T* from = x + (is_there ? over.kept.offset(member.result) : 0);
    typedef typename Op::template Part<T> Part;
    Part part = gather(member, is_there ? over.count : 0, Op::template identity<T>(), Op(),
                       [&](int64_t i) { return static_cast<Part>(E::read(from[over.reduced.offset(i)])); });
    part = member.join(part, Op());
    if (!is_there || member.rank != 0) continue;
    const auto v = static_cast<typename E::Part>(part);
    y[member.result] = E::written(is_mean ? E::mean(v, over.count) : v);
  }
}

template <class T, class Op>
void start(const Run& run, const ReduceArgs& args) {
  const CudaReduction over(args.over);
  with_team(over.team, [&](auto team) {
    launch(run, "reduce", reduce<decltype(team)::value, T, Op>, grid_of(over), kBlock, 0, static_cast<const T*>(args.x),
           static_cast<T*>(args.y), over, over.blocks(), args.kind == kReduceAvg);
  });
}

template <class T>
void start(const Run& run, const ReduceArgs& args) {
  switch (args.kind) {
    case kReduceProd:
      return start<T, Product>(run, args);
    case kReduceMax:
      return start<T, Maximum>(run, args);
    case kReduceMin:
      return start<T, Minimum>(run, args);
    default:
      return start<T, Sum>(run, args);
  }
}

void enqueue(const ReduceParams& params, const Run& run) {
  const Tensor x = run.input(0), y = run.output(0);
  ReduceArgs args = reduce_args(params, x);
  args.x = x.data<void>();
  args.y = y.data<void>();
  if (args.over.results == 0) return;
  if (args.type == DT_TYPE_INT32) return start<int32_t>(run, args);
  if (args.type == DT_TYPE_INT64) return start<int64_t>(run, args);
  with_float_type(x.type(), [&](auto t) { start<decltype(t)>(run, args); });
}

constexpr Row<ReduceParams> kRows[] = {
    {.tactic = "linear",
     .needs = kBuiltSm,
     .types = kReduceTypes,
     .formats = "linear",
     .enqueue = enqueue,
     .traits = kCaptureSafe},
};

}  // namespace

DOVETAIL_IMPLEMENTS("Reduce@1#cuda", ReduceParams, kRows)
