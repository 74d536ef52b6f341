// SPDX-License-Identifier: Apache-2.0
// ElementWise@1#cuda. Threads walk over y in the order of storage, n neighbours at once.
#include "dovetail/cuda/by_channel.cuh"
#include "rows.hpp"

using namespace dovetail;

namespace {

// How an input is read for n neighbours of y.
enum Reading : int32_t {
  kDense,    // it lies as y does
  kInRows,   // n neighbours of one of its rows, or its row's only element: no n of y reach over the end of a row
  kByItself  // every element is looked for
};

struct Operand {
  const void* data;
  int64_t stride[kElementwiseRank];  // of the rows' dims, outermost first
  int64_t column;                    // 0 or 1
  int32_t reading;
  bool in_packs;
};

struct Job {
  Operand a, b;
  void* y;
  int64_t total, columns;
  int32_t kind, rank;
  bool in_packs;  // y is written so
  Divider by_columns, by_dim[kElementwiseRank];
  Channels channels;  // of y, for its padding
};

__device__ inline int64_t row_offset(const Job& job, const Operand& operand, int64_t row) {
  int64_t offset = 0;
  for (int i = job.rank - 1; i >= 0; --i) {
    int64_t at;
    row = job.by_dim[i].split(row, &at);
    offset += at * operand.stride[i];
  }
  return offset;
}

// Apart, so that the loop over single elements stays small.
__device__ __noinline__ int64_t row_offset_apart(const Job& job, const Operand& operand, int64_t row) {
  return row_offset(job, operand, row);
}

// v[j] is what element first + j of y takes.
template <int n, class T>
__device__ inline void load_operand(const Job& job, const Operand& operand, int64_t first, int count, T (&v)[n]) {
  const T* data = static_cast<const T*>(operand.data);
  if (operand.reading == kByItself) {
    int64_t column, row = job.by_columns.split(first, &column);
    int64_t offset = row_offset_apart(job, operand, row);
#pragma unroll
    for (int j = 0; j < n; ++j) {
      if (j < count) {
        v[j] = data[offset + column * operand.column];
      } else {
        v[j] = v[0];
      }
      if (++column == job.columns) {
        column = 0;
        offset = row_offset_apart(job, operand, ++row);  // beyond the last row the offset wraps around and is not used
      }
    }
    return;
  }
  if (operand.reading == kDense) {
    data += first;
  } else {
    int64_t column;
    const int64_t row = job.by_columns.split(first, &column);
    data += row_offset(job, operand, row) + column * operand.column;
    if (operand.column == 0) {
      const T one = *data;
#pragma unroll
      for (int j = 0; j < n; ++j) v[j] = one;
      return;
    }
  }
  if (operand.in_packs && count == n) {
    load_pack<n>(data, v);
  } else {
#pragma unroll
    for (int j = 0; j < n; ++j) v[j] = data[j < count ? j : 0];
  }
}

// 16-bit floats are computed in float32.
template <class T>
struct ComputedIn {
  typedef T Type;
};
template <>
struct ComputedIn<__half> {
  typedef float Type;
};
template <>
struct ComputedIn<__nv_bfloat16> {
  typedef float Type;
};
template <class C, class T>
__device__ inline C computed(T v) {
  return v;
}
template <>
__device__ inline float computed<float, __half>(__half v) {
  return to_float(v);
}
template <>
__device__ inline float computed<float, __nv_bfloat16>(__nv_bfloat16 v) {
  return to_float(v);
}

template <class Op, int n, class T, class Y>
__device__ inline void apply(const T (&a)[n], const T (&b)[n], Y (&y)[n]) {
  typedef typename ComputedIn<T>::Type C;
#pragma unroll
  for (int j = 0; j < n; ++j) {
    const auto result = Op::of(computed<C>(a[j]), computed<C>(b[j]));
    if constexpr (std::is_same_v<decltype(result), const float>) {
      y[j] = float_to<Y>(result);
    } else {
      y[j] = result;
    }
  }
}

struct Arithmetic {
  template <int n, class T, class Y>
  static __device__ void compute(int32_t kind, const T (&a)[n], const T (&b)[n], Y (&y)[n]) {
    switch (kind) {
      case kSum:
        return apply<DT_ISA::Sum>(a, b, y);
      case kProd:
        return apply<DT_ISA::Prod>(a, b, y);
      case kMax:
        return apply<DT_ISA::Max>(a, b, y);
      case kMin:
        return apply<DT_ISA::Min>(a, b, y);
      case kSub:
        return apply<DT_ISA::Sub>(a, b, y);
      case kDiv:
        return apply<DT_ISA::Div>(a, b, y);
      case kPow:
        return apply<DT_ISA::Pow>(a, b, y);
      default:
        return apply<DT_ISA::FloorDiv>(a, b, y);
    }
  }
};

struct Comparison {
  template <int n, class T, class Y>
  static __device__ void compute(int32_t kind, const T (&a)[n], const T (&b)[n], Y (&y)[n]) {
    switch (kind) {
      case kEqual:
        return apply<DT_ISA::Equal>(a, b, y);
      case kGreater:
        return apply<DT_ISA::Greater>(a, b, y);
      default:
        return apply<DT_ISA::Less>(a, b, y);
    }
  }
};

struct Logic {
  template <int n, class T, class Y>
  static __device__ void compute(int32_t kind, const T (&a)[n], const T (&b)[n], Y (&y)[n]) {
    switch (kind) {
      case kAnd:
        return apply<DT_ISA::And>(a, b, y);
      case kOr:
        return apply<DT_ISA::Or>(a, b, y);
      case kXor:
        return apply<DT_ISA::Xor>(a, b, y);
      default:
        return apply<DT_ISA::Equal>(a, b, y);
    }
  }
};

template <class Ops, int n, class T, class Y>
__global__ void __launch_bounds__(kBlock) elementwise_kernel(const __grid_constant__ Job job) {
  Y* const to = static_cast<Y*>(job.y);
  for (int64_t first = first_item() * n; first < job.total; first += item_stride() * n) {
    const int count = job.total - first < n ? static_cast<int>(job.total - first) : n;
    T a[n], b[n];
    Y y[n];
    load_operand<n>(job, job.a, first, count, a);
    load_operand<n>(job, job.b, first, count, b);
    Ops::compute(job.kind, a, b, y);
    if (job.channels.has_padding) {
      uint32_t channel[n];
      find_channels<n>(job.channels, first, channel);
#pragma unroll
      for (int j = 0; j < n; ++j) y[j] = channel[j] < job.channels.n_channels ? y[j] : Y();
    }
    if (job.in_packs && count == n) {
      store_pack<n>(to + first, y);
    } else {
#pragma unroll
      for (int j = 0; j < n; ++j) {
        if (j < count) to[first + j] = y[j];
      }
    }
  }
}

// `strides`: of the rows' dims; an operand of as many elements as y is repeated nowhere and lies as y does.
template <int n, class T>
Operand operand_of(const Job& job, const Tensor& t, const int64_t* strides, int64_t column) {
  Operand operand = {};
  operand.data = t.data<void>();
  operand.column = column;
  bool rows_are_aligned = true;
  for (int i = 0; i < job.rank; ++i) {
    operand.stride[i] = strides[i];
    rows_are_aligned = rows_are_aligned && strides[i] % n == 0;
  }
  if (view_of(t).stored() == job.total) {
    operand.reading = kDense;
  } else {
    operand.reading = job.rank == 0 || job.columns % n == 0 ? kInRows : kByItself;
  }
  operand.in_packs = is_aligned(kPieceBytes<T, n>, operand.data) && (operand.reading == kDense || rows_are_aligned);
  return operand;
}

template <class Ops, class T, class Y>
void start(const ElementwiseParams& params, const Run& run) {
  constexpr int n = sizeof(T) == 1 ? 8 : 16 / sizeof(T);
  const Tensor a = run.input(0), b = run.input(1), y = run.output(0);
  const ParameterLayout layout = one_parameter(static_cast<int32_t>(y.format()), y.dims(), y.rank());
  Broadcast broadcast = {};
  set_broadcast(&broadcast, a, b);
  Job job = {};
  job.y = y.data<void>();
  job.total = layout.view.stored();
  job.columns = broadcast.columns;
  job.kind = params.op;
  job.rank = broadcast.columns == job.total ? 0 : broadcast.rank;  // one row has no dims to look for
  job.in_packs = is_aligned(kPieceBytes<Y, n>, job.y);
  job.by_columns = Divider(job.columns, job.total);
  for (int i = 0; i < job.rank; ++i) job.by_dim[i] = Divider(broadcast.dims[i], job.total);
  job.channels = channels_of(layout, n);
  job.a = operand_of<n, T>(job, a, broadcast.a_stride, broadcast.a_column);
  job.b = operand_of<n, T>(job, b, broadcast.b_stride, broadcast.b_column);
  launch(run, "elementwise", elementwise_kernel<Ops, n, T, Y>, blocks_for(job.total, n), kBlock, 0, job);
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
