// SPDX-License-Identifier: Apache-2.0
// Cumulative@1#cuda: a thread for each column where there are many, else a block, whose threads join pieces of it.
#include <type_traits>

#include "dovetail/cuda.hpp"
#include "rows.hpp"

using namespace dovetail;

namespace {

constexpr int kEach = 4;  // elements of a thread in one step of a block
constexpr int64_t kManyColumns = int64_t{1} << 14;

// Integers are joined as 64 bits and cut off: that is wrapping round in any width.
__device__ void read_element(const CumulativeArgs& a, int64_t at, float* v) {
  if (a.type == DT_TYPE_FLOAT) {
    *v = static_cast<const float*>(a.x)[at];
  } else if (a.type == DT_TYPE_HALF) {
    *v = to_float(static_cast<const __half*>(a.x)[at]);
  } else {
    *v = to_float(static_cast<const __nv_bfloat16*>(a.x)[at]);
  }
}

__device__ void read_element(const CumulativeArgs& a, int64_t at, uint64_t* v) {
  if (a.type == DT_TYPE_INT64) {
    *v = static_cast<const uint64_t*>(a.x)[at];
  } else if (a.type == DT_TYPE_INT32) {
    *v = static_cast<const uint32_t*>(a.x)[at];
  } else {
    *v = static_cast<const uint8_t*>(a.x)[at];
  }
}

__device__ void write_element(const CumulativeArgs& a, int64_t at, float v) {
  if (a.type == DT_TYPE_FLOAT) {
    static_cast<float*>(a.y)[at] = v;
  } else if (a.type == DT_TYPE_HALF) {
    static_cast<__half*>(a.y)[at] = float_to<__half>(v);
  } else {
    static_cast<__nv_bfloat16*>(a.y)[at] = float_to<__nv_bfloat16>(v);
  }
}

__device__ void write_element(const CumulativeArgs& a, int64_t at, uint64_t v) {
  if (a.type == DT_TYPE_INT64) {
    static_cast<uint64_t*>(a.y)[at] = v;
  } else if (a.type == DT_TYPE_INT32) {
    static_cast<uint32_t*>(a.y)[at] = static_cast<uint32_t>(v);
  } else {
    static_cast<uint8_t*>(a.y)[at] = static_cast<uint8_t>(v);
  }
}

// What all elements in front of some make: a chain of float32 additions would lose what grows with its length.
template <class T>
using Before = std::conditional_t<std::is_same_v<T, float>, double, T>;

template <class T>
__device__ T joined(const CumulativeArgs& a, T left, T right) {
  return a.is_product ? left * right : left + right;
}

template <class T>
__global__ void __launch_bounds__(kBlock) columns(const __grid_constant__ CumulativeArgs a, const Divider by_inner) {
  for (int64_t item = first_item(); item < a.outer * a.inner; item += item_stride()) {
    int64_t column;
    const int64_t base = by_inner.split(item, &column) * a.n * a.inner + column;
    Before<T> total = static_cast<Before<T>>(a.is_product);
    for (int64_t k = 0; k < a.n; ++k) {
      const int64_t at = base + (a.reverse ? a.n - 1 - k : k) * a.inner;
      T v;
      read_element(a, at, &v);
      const Before<T> next = joined(a, total, static_cast<Before<T>>(v));
      write_element(a, at, static_cast<T>(a.exclusive ? total : next));
      total = next;
    }
  }
}

// A column in steps of kBlock * kEach elements: each thread joins its own, then those of the threads before it.
template <class T>
__global__ void __launch_bounds__(kBlock) blocks(const __grid_constant__ CumulativeArgs a, const Divider by_inner) {
  __shared__ T totals[2][kBlock];
  const int thread = static_cast<int>(threadIdx.x);
  for (int64_t item = blockIdx.x; item < a.outer * a.inner; item += gridDim.x) {
    int64_t column;
    const int64_t base = by_inner.split(item, &column) * a.n * a.inner + column;
    Before<T> before = static_cast<Before<T>>(a.is_product);  // all earlier steps
    for (int64_t start = 0; start < a.n; start += kBlock * kEach) {
      const int64_t own = start + static_cast<int64_t>(thread) * kEach;
      T v[kEach], total = static_cast<T>(a.is_product);
#pragma unroll
      for (int i = 0; i < kEach; ++i) {
        const int64_t k = own + i;
        v[i] = static_cast<T>(a.is_product);
        if (k < a.n) read_element(a, base + (a.reverse ? a.n - 1 - k : k) * a.inner, &v[i]);
        total = joined(a, total, v[i]);
      }
      int side = 0;
      totals[0][thread] = total;
      __syncthreads();
      for (int reach = 1; reach < kBlock; reach *= 2) {
        const T mine = totals[side][thread];
        totals[1 - side][thread] = thread >= reach ? joined(a, totals[side][thread - reach], mine) : mine;
        side = 1 - side;
        __syncthreads();
      }
      typedef Before<T> B;
      T running = static_cast<T>(thread > 0 ? joined(a, before, static_cast<B>(totals[side][thread - 1])) : before);
      before = joined(a, before, static_cast<B>(totals[side][kBlock - 1]));
#pragma unroll
      for (int i = 0; i < kEach; ++i) {
        const int64_t k = own + i;
        const T next = joined(a, running, v[i]);
        if (k < a.n) write_element(a, base + (a.reverse ? a.n - 1 - k : k) * a.inner, a.exclusive ? running : next);
        running = next;
      }
      __syncthreads();  // the next step overwrites what others may still read
    }
  }
}

template <class T>
void start(const CumulativeArgs& args, const Run& run) {
  const int64_t n_columns = args.outer * args.inner;
  const Divider by_inner(args.inner, n_columns);
  if (args.n <= 32 || (args.inner >= 32 && n_columns >= kManyColumns)) {
    launch(run, "columns", columns<T>, blocks_for(n_columns), kBlock, 0, args, by_inner);
  } else {
    launch(run, "blocks", blocks<T>, static_cast<unsigned>(n_columns < (1 << 20) ? n_columns : 1 << 20), kBlock, 0,
           args, by_inner);
  }
}

void enqueue(const CumulativeParams& params, const Run& run) {
  if (run.output(0).volume() == 0) return;
  const CumulativeArgs args = cumulative_args(params, run);
  const DataType type = run.output(0).type();
  const bool is_float = type == DataType::kFLOAT || type == DataType::kHALF || type == DataType::kBF16;
  is_float ? start<float>(args, run) : start<uint64_t>(args, run);
}

constexpr Row<CumulativeParams> kRows[] = {
    {.tactic = "linear",
     .needs = kBuiltSm,
     .types = kCumulativeTypes,
     .formats = "linear",
     .enqueue = enqueue,
     .traits = kCaptureSafe},
};

}  // namespace

DOVETAIL_IMPLEMENTS("Cumulative@1#cuda", CumulativeParams, kRows)
