// SPDX-License-Identifier: Apache-2.0
// Pointwise layers of several inputs whose extents of 1 are repeated: threads walk over y in the order of storage, n
// neighbours at once, and look for what each input has there. Host side: broadcast.hpp.
#ifndef DOVETAIL_KERNELS_POINTWISE_CUDA_BROADCAST_CUH
#define DOVETAIL_KERNELS_POINTWISE_CUDA_BROADCAST_CUH

#include "kernels/pointwise/broadcast.hpp"
#include "kernels/pointwise/cuda_by_channel.cuh"

DOVETAIL_OPEN_NAMESPACE

// How an input is read for n neighbours of y.
enum Reading : int32_t {
  kDense,    // it has the layout of y
  kInRows,   // n neighbours of one of its rows, or its row's only element: no n of y reach over the end of a row
  kByItself  // every element is looked for
};

struct Operand {
  const void* data;
  int64_t stride[kBroadcastRank];  // of the rows' dims, outermost first
  int64_t column;                  // 0 or 1
  int32_t reading;
  bool in_packs;
};

// What a kernel needs to know; y itself comes beside it.
struct BroadcastShape {
  int64_t total, columns;
  int32_t rank;
  bool in_packs;  // y is written so
  Divider by_columns, by_dim[kBroadcastRank];
  Channels channels;  // of y, for its padding
};
template <int n_inputs>
struct BroadcastJob : BroadcastShape {
  Operand operand[n_inputs];
};

// Elements that a thread takes at once of inputs of type T.
template <class T>
constexpr int kBroadcastPack = sizeof(T) == 1 ? 8 : 16 / static_cast<int>(sizeof(T));

template <int n, int n_inputs>
BroadcastJob<n_inputs> broadcast_job(const Tensor (&inputs)[n_inputs], const Tensor& y) {
  const ParameterLayout layout = one_parameter(static_cast<int32_t>(y.format()), y.dims(), y.rank());
  Broadcast<n_inputs> broadcast = {};
  set_broadcast<n_inputs>(&broadcast, inputs);
  BroadcastJob<n_inputs> job = {};
  job.total = layout.view.stored();
  job.columns = broadcast.columns;
  job.rank = broadcast.columns == job.total ? 0 : broadcast.rank;  // one row has no dims to look for
  job.by_columns = Divider(job.columns, job.total);
  for (int i = 0; i < job.rank; ++i) job.by_dim[i] = Divider(broadcast.dims[i], job.total);
  job.channels = channels_of(layout, n);
  const auto piece_bytes = [](const Tensor& t) {
    const int64_t bytes = n * size_of(t.type());
    return static_cast<int>(bytes < 16 ? bytes : 16);
  };
  job.in_packs = is_aligned(piece_bytes(y), y.data<void>());
  for (int k = 0; k < n_inputs; ++k) {
    Operand& operand = job.operand[k];
    operand.data = inputs[k].template data<void>();
    operand.column = broadcast.column[k];
    bool rows_are_aligned = true;
    for (int i = 0; i < job.rank; ++i) {
      operand.stride[i] = broadcast.stride[k][i];
      rows_are_aligned = rows_are_aligned && operand.stride[i] % n == 0;
    }
    // An input with as many elements as y is not broadcast and has the layout of y.
    operand.reading = view_of(inputs[k]).stored() == job.total ? kDense
                      : job.rank == 0 || job.columns % n == 0  ? kInRows
                                                               : kByItself;
    operand.in_packs =
        is_aligned(piece_bytes(inputs[k]), operand.data) && (operand.reading == kDense || rows_are_aligned);
  }
  return job;
}

#ifdef __CUDACC__

__device__ inline int64_t row_offset(const BroadcastShape& job, const Operand& operand, int64_t row) {
  int64_t offset = 0;
#pragma unroll 1
  for (int i = job.rank - 1; i >= 0; --i) {
    int64_t at;
    row = job.by_dim[i].split(row, &at);
    offset += at * operand.stride[i];
  }
  return offset;
}

// Apart, so that the loop over single elements stays small.
__device__ __noinline__ inline int64_t row_offset_apart(const BroadcastShape& job, const Operand& operand,
                                                        int64_t row) {
  return row_offset(job, operand, row);
}

// v[j] is what element first + j of y takes.
template <int n, class T>
__device__ inline void load_operand(const BroadcastShape& job, const Operand& operand, int64_t first, int count,
                                    T (&v)[n]) {
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

// Elements [first, first + count) of y; padding becomes zeros.
template <int n, class Y>
__device__ inline void store_result(const BroadcastShape& job, Y* to, int64_t first, int count, Y (&y)[n]) {
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

// y = Op::of(a, b)
template <class Op, int n, class T, class Y>
__device__ inline void apply_pairs(const T (&a)[n], const T (&b)[n], Y (&y)[n]) {
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

#endif

DOVETAIL_CLOSE_NAMESPACE

#endif
