// SPDX-License-Identifier: Apache-2.0
// Matrix products with one output a thread, for all types, or one a warp: for vectors and small matrices.
#include "cuda_gemm.cuh"
#include "kernels/cuda/long_sum.cuh"

DOVETAIL_OPEN_NAMESPACE
namespace cuda_gemm {

namespace {

// The sums and results of an input's type: integers wrap around.
template <class X>
struct Types {
  using Sum = float;
  using Y = X;
};
template <>
struct Types<int32_t> {
  using Sum = uint32_t;
  using Y = int32_t;
};
template <>
struct Types<int64_t> {
  using Sum = uint64_t;
  using Y = int64_t;
};
template <>
struct Types<int8_t> {
  using Sum = int32_t;
  using Y = float;
};

template <class X>
__device__ __forceinline__ typename Types<X>::Sum value_of(X v) {
  if constexpr (std::is_integral_v<X>) {
    return static_cast<typename Types<X>::Sum>(v);
  } else {
    return to_float(v);
  }
}

// Products of k = first, first + step, ...
template <class X>
__device__ __forceinline__ typename Types<X>::Sum sum_from(const CudaGemm& args, const X* a, const X* b, int64_t first,
                                                           int64_t step) {
  using Sum = typename Types<X>::Sum;
  if (a == nullptr || b == nullptr) {  // one input alone
    const X* const x = a == nullptr ? b : a;
    const int t = a == nullptr ? kGemmB : kGemmA;
    return long_sum<Sum>(first, args.k.n, step, [&](int64_t k) { return value_of(x[gemm_offset(args.k, t, k)]); });
  }
  if (args.k.rank <= 1) {
    const int64_t a_k = DT_ISA::gemm_step(args.k, kGemmA), b_k = DT_ISA::gemm_step(args.k, kGemmB);
    return long_sum<Sum>(first, args.k.n, step, [&](int64_t k) { return value_of(a[k * a_k]) * value_of(b[k * b_k]); });
  }
  return long_sum<Sum>(first, args.k.n, step, [&](int64_t k) {
    return value_of(a[gemm_offset(args.k, kGemmA, k)]) * value_of(b[gemm_offset(args.k, kGemmB, k)]);
  });
}

template <class X>
__device__ __forceinline__ void put(const CudaGemm& args, int64_t batch, int64_t m, int64_t n,
                                    typename Types<X>::Sum sum) {
  using Y = typename Types<X>::Y;
  Y* const y = static_cast<Y*>(args.y);
  const int64_t row = gemm_offset(args.batch, kGemmY, batch) + gemm_offset(args.m, kGemmY, m);
  const int64_t columns[1] = {gemm_offset(args.n, kGemmY, n)};
  if constexpr (std::is_integral_v<Y>) {
    y[row + columns[0]] = static_cast<Y>(sum);
  } else {
    float v[1] = {static_cast<float>(sum)};
    if constexpr (std::is_same_v<X, int8_t>) v[0] *= args.scale;
    float bias[1];
    load_bias(args, [&](int) { return n; }, bias);
    v[0] += bias[0];
    if (args.ending.program.n_steps > 0) {
      finish<true>(args, row, columns, 1, v);
    } else {
      finish<false>(args, row, columns, 1, v);
    }
    y[row + columns[0]] = float_to<Y>(v[0]);
  }
}

// Lanes of a warp share one output, or have one each.
template <class X, int lanes>
__global__ void __launch_bounds__(kBlock) gemm_simple(const __grid_constant__ CudaGemm args) {
  const int64_t outputs = args.batch.n * args.m.n * args.n.n;
  for (int64_t i = first_item() / lanes; i < outputs; i += item_stride() / lanes) {
    const int64_t n = i % args.n.n, m = i / args.n.n % args.m.n, batch = i / args.n.n / args.m.n;
    const X* a =
        static_cast<const X*>(args.a) + gemm_offset(args.batch, kGemmA, batch) + gemm_offset(args.m, kGemmA, m);
    const X* b =
        static_cast<const X*>(args.b) + gemm_offset(args.batch, kGemmB, batch) + gemm_offset(args.n, kGemmB, n);
    auto sum = sum_from(args, a, b, lanes == 1 ? 0 : threadIdx.x % lanes, lanes);
    if constexpr (lanes > 1) {
#pragma unroll
      for (int step = lanes / 2; step > 0; step /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, step);
      if (threadIdx.x % lanes != 0) continue;
    }
    put<X>(args, batch, m, n, sum);
  }
}

template <class X, int lanes>
void start(const Run& run, const CudaGemm& args, uint32_t blocks) {
  launch(run, "gemm_simple", gemm_simple<X, lanes>, blocks, kBlock, 0, args);
}

}  // namespace

void threads(const Run& run, const CudaGemm& args, uint32_t blocks) {
  const DataType type = static_cast<DataType>(args.type);
  if (type == DataType::kINT32) return start<int32_t, 1>(run, args, blocks);
  if (type == DataType::kINT64) return start<int64_t, 1>(run, args, blocks);
  if (type == DataType::kINT8) return start<int8_t, 1>(run, args, blocks);
  with_float_type(type, [&](auto x) { start<decltype(x), 1>(run, args, blocks); });
}

void warps(const Run& run, const CudaGemm& args, uint32_t blocks) {
  with_float_type(static_cast<DataType>(args.type), [&](auto x) { start<decltype(x), 32>(run, args, blocks); });
}

}  // namespace cuda_gemm
DOVETAIL_CLOSE_NAMESPACE
