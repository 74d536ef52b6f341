// SPDX-License-Identifier: Apache-2.0
// One pass over the stored elements of a tensor, y = f(x, parameters of its channel), in every format. Padding lanes of
// y become zeros in the same pass. Host side: the layouts of per_channel.hpp.
#ifndef DOVETAIL_KERNELS_POINTWISE_CUDA_BY_CHANNEL_CUH
#define DOVETAIL_KERNELS_POINTWISE_CUDA_BY_CHANNEL_CUH

#include "dovetail/cuda.hpp"
#include "kernels/pointwise/cuda_epilogue.cuh"
#include "kernels/pointwise/per_channel.hpp"

DOVETAIL_OPEN_NAMESPACE

// How the channels of n neighbours, of which the first is element n * k, go on.
enum ChannelPattern : int32_t {
  kNoChannels,    // channel numbers are not needed: no padding, and one parameter at most
  kSameChannel,   // all n have one
  kNextChannels,  // c, c + 1, ...
  kAnyChannels
};

// Element i, stored as [outer, groups, inner, lanes], is of channel g * lanes + l; it is padding from n_channels on.
struct Channels {
  ChannelPattern pattern = kNoChannels;
  bool has_padding = false;
  bool one_parameter = true;  // for all channels
  uint32_t n_channels = 1, groups = 1, lanes = 1;
  int64_t row = 1;  // inner * lanes
  Divider by_row, by_groups, by_lanes;
};

// Packs of n elements walk over a tensor whose parameters lie like this.
inline Channels channels_of(const ParameterLayout& layout, int n) {
  const FormatView& view = layout.view;
  Channels channels;
  channels.has_padding = view.has_padding();
  channels.one_parameter = layout.given == 1;
  if (channels.one_parameter && !channels.has_padding) return channels;
  int64_t groups = layout.groups, inner = layout.inner, lanes = layout.lanes, n_channels = layout.given;
  if (channels.one_parameter) {
    groups = view.kind == 1 ? view.padded / view.lanes : 1;
    inner = view.inner;
    lanes = view.kind == 1 ? view.lanes : view.padded;
    n_channels = view.channels;
  }
  const int64_t most = int64_t{1} << 31;
  if (groups >= most || lanes >= most) fail(DT_UNSUPPORTED, "2^31 parameters or more in a layer");
  channels.n_channels = static_cast<uint32_t>(n_channels);
  channels.groups = static_cast<uint32_t>(groups);
  channels.lanes = static_cast<uint32_t>(lanes);
  channels.row = inner * lanes;
  channels.by_row = Divider(channels.row, view.stored());
  channels.by_groups = Divider(groups, view.stored());
  channels.by_lanes = Divider(lanes, channels.row);
  channels.pattern = lanes == 1 && inner % n == 0 ? kSameChannel : lanes % n == 0 ? kNextChannels : kAnyChannels;
  return channels;
}

// Values of one parameter; f32, f16 or bf16 in memory of the device.
struct ChannelParameter {
  const void* data = nullptr;
  int32_t type = DT_TYPE_FLOAT;
  float absent = 0;  // what it is without data
};

inline ChannelParameter channel_parameter(const Run& run, int input, const ParameterLayout& layout, float absent) {
  ChannelParameter parameter;
  parameter.absent = absent;
  if (!run.has_input(input)) return parameter;
  const Tensor t = run.input(input);
  check_parameter(t, layout);
  parameter.data = t.data<void>();
  parameter.type = static_cast<int32_t>(t.type());
  return parameter;
}

#ifdef __CUDACC__

template <int n>
__device__ inline void find_channels(const Channels& channels, int64_t first, uint32_t (&channel)[n]) {
  if (channels.pattern == kNoChannels) {
#pragma unroll
    for (int j = 0; j < n; ++j) channel[j] = 0;
    return;
  }
  int64_t rest, group, lane;
  channels.by_groups.split(channels.by_row.split(first, &rest), &group);
  channels.by_lanes.split(rest, &lane);
  channel[0] = static_cast<uint32_t>(group) * channels.lanes + static_cast<uint32_t>(lane);
  if (channels.pattern != kAnyChannels) {
    const uint32_t step = channels.pattern == kNextChannels;
#pragma unroll
    for (int j = 1; j < n; ++j) channel[j] = channel[0] + static_cast<uint32_t>(j) * step;
    return;
  }
#pragma unroll
  for (int j = 1; j < n; ++j) {
    if (++lane == channels.lanes) lane = 0;
    if (++rest == channels.row) {  // lane is 0: rows are whole pixels
      rest = 0;
      if (++group == channels.groups) group = 0;
    }
    channel[j] = static_cast<uint32_t>(group) * channels.lanes + static_cast<uint32_t>(lane);
  }
}

__device__ inline float read_parameter(const ChannelParameter& parameter, uint32_t i) {
  if (parameter.type == DT_TYPE_FLOAT) return static_cast<const float*>(parameter.data)[i];
  if (parameter.type == DT_TYPE_HALF) return to_float(static_cast<const __half*>(parameter.data)[i]);
  return to_float(static_cast<const __nv_bfloat16*>(parameter.data)[i]);
}

template <int n>
__device__ inline void load_parameter(const ChannelParameter& parameter, const Channels& channels,
                                      const uint32_t (&channel)[n], float (&v)[n]) {
  if (!parameter.data || channels.one_parameter || channels.pattern == kSameChannel) {
    const float one = !parameter.data          ? parameter.absent
                      : channels.one_parameter ? read_parameter(parameter, 0)
                                               : read_parameter(parameter, channel[0]);
#pragma unroll
    for (int j = 0; j < n; ++j) v[j] = one;
    return;
  }
  const bool in_packs = channels.pattern == kNextChannels && parameter.type == DT_TYPE_FLOAT &&
                        reinterpret_cast<uintptr_t>(parameter.data) % kPieceBytes<float, n> == 0;
  if (in_packs && channel[n - 1] < channels.n_channels) {
    load_pack<n>(static_cast<const float*>(parameter.data) + channel[0], v);
    return;
  }
#pragma unroll
  for (int j = 0; j < n; ++j) {
    v[j] = channel[j] < channels.n_channels ? read_parameter(parameter, channel[j]) : parameter.absent;
  }
}

// f(x, y, channels, channel): n values of x to n of y; `end` then applies the absorbed layers.
template <int n, class X, class Y, class F, class End>
__global__ void __launch_bounds__(kBlock) map_kernel(const X* x, Y* y, int64_t total, bool in_packs, Channels channels,
                                                     F f, const __grid_constant__ End end) {
  for (int64_t first = first_item() * n; first < total; first += item_stride() * n) {
    const int count = total - first < n ? static_cast<int>(total - first) : n;
    const bool whole = in_packs && count == n;
    X in[n];
    Y out[n];
    uint32_t channel[n];
    if (whole) {
      load_pack<n>(x + first, in);
    } else {
#pragma unroll
      for (int j = 0; j < n; ++j) in[j] = x[first + (j < count ? j : 0)];
    }
    find_channels<n>(channels, first, channel);
    f(in, out, channels, channel);
    end(first, count, out);
    if (channels.has_padding) {
#pragma unroll
      for (int j = 0; j < n; ++j) out[j] = channel[j] < channels.n_channels ? out[j] : Y();
    }
    if (whole) {
      store_pack<n>(y + first, out);
    } else {
#pragma unroll
      for (int j = 0; j < n; ++j) {
        if (j < count) y[first + j] = out[j];
      }
    }
  }
}

// Elements that a thread takes at once: 16 bytes of the narrower type, 8 at most.
template <class X, class Y>
constexpr int kMapPack =
    sizeof(X) < sizeof(Y) ? (16 / sizeof(X) < 8 ? 16 / sizeof(X) : 8) : (16 / sizeof(Y) < 8 ? 16 / sizeof(Y) : 8);

// y = f(x) over all stored elements; y may be x.
template <class X, class Y, class F, class End = NoEnding>
void map_by_channel(const Run& run, const char* name, const X* x, Y* y, const ParameterLayout& layout, const F& f,
                    const End& end = End()) {
  constexpr int n = kMapPack<X, Y>;
  const int64_t total = layout.view.stored();
  if (total == 0) return;
  const bool in_packs = is_aligned(kPieceBytes<X, n>, x) && is_aligned(kPieceBytes<Y, n>, y);
  launch(run, name, map_kernel<n, X, Y, F, End>, blocks_for(total, n), kBlock, 0, x, y, total, in_packs,
         channels_of(layout, n), f, end);
}

// For map_by_channel: y = x, element by element.
struct CopyElements {
  template <int n, class T>
  __device__ void operator()(const T (&x)[n], T (&y)[n], const Channels&, const uint32_t (&)[n]) const {
#pragma unroll
    for (int j = 0; j < n; ++j) y[j] = x[j];
  }
};

#endif

DOVETAIL_CLOSE_NAMESPACE

#endif
