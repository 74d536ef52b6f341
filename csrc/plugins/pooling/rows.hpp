// SPDX-License-Identifier: Apache-2.0
// What the rows of Pooling have in common on all devices.
#ifndef DOVETAIL_PLUGINS_POOLING_ROWS_HPP
#define DOVETAIL_PLUGINS_POOLING_ROWS_HPP

#include "dovetail/convolve.hpp"
#include "pooling.hpp"
#include "windows.hpp"

// The windows are those of a convolution without dilation.
inline dovetail::ConvolveFields pooling_fields(const PoolingParams& params) {
  struct {
    dovetail::Ints kernel_size_nd, stride_nd, dilation_nd, pre_padding, post_padding;
    int64_t num_groups = 1, num_output_maps = 1;
    int32_t padding_mode;
  } as_convolution;
  as_convolution.kernel_size_nd = params.window_size_nd;
  as_convolution.stride_nd = params.stride_nd;
  as_convolution.pre_padding = params.pre_padding;
  as_convolution.post_padding = params.post_padding;
  as_convolution.padding_mode = params.padding_mode;
  const dovetail::ConvolveFields f = dovetail::convolve_fields(as_convolution, false);
  const auto is_list = [&f](const dovetail::Ints& list) { return list.n == 0 || list.n == f.n_spatial; };
  if (!is_list(params.stride_nd) || !is_list(params.pre_padding) || !is_list(params.post_padding)) {
    dovetail::fail(DT_INVALID_ARGUMENT, "strides or paddings are not as many as the window's dims");
  }
  constexpr int64_t kMost = int64_t{1} << 31;  // so that no sum of these overflows
  for (int i = 0; i < 3; ++i) {
    const bool is_sound = f.kernel[i] >= 1 && f.stride[i] >= 1 && f.pre[i] >= 0 && f.post[i] >= 0 &&
                          f.kernel[i] < kMost && f.stride[i] < kMost && f.pre[i] < kMost && f.post[i] < kMost;
    if (!is_sound) dovetail::fail(DT_INVALID_ARGUMENT, "window, stride or padding is out of its range");
  }
  if (params.type < kPoolMax || params.type > kPoolBlend) {
    dovetail::fail(DT_INVALID_ARGUMENT, "pooling type %d is not known", params.type);
  }
  return f;
}

inline PoolAxis pool_axis(const dovetail::ConvolveFields& f, int i, int64_t in, int64_t out) {
  const bool is_same = f.padding_mode == dovetail::kSameUpper || f.padding_mode == dovetail::kSameLower;
  PoolAxis axis = {in, out, f.kernel[i], f.stride[i], dovetail::padding_before(f, i, in), f.post[i]};
  if (is_same) {
    const int64_t behind = (out - 1) * axis.stride - axis.before + axis.window - in;
    axis.after = behind > 0 ? behind : 0;
  }
  return axis;
}

// The output extent that the fields imply; below 0 where no window fits.
inline int64_t pool_extent(const dovetail::ConvolveFields& f, int i, int64_t in) {
  const int64_t stride = f.stride[i], room = in + f.pre[i] + f.post[i] - f.kernel[i];
  const int64_t down = room < 0 ? -((stride - 1 - room) / stride) : room / stride;
  const int64_t up = room < 0 ? -(-room / stride) : (room + stride - 1) / stride;
  switch (f.padding_mode) {
    case dovetail::kExplicitRoundDown:
      return down + 1;
    case dovetail::kExplicitRoundUp:
      return up + 1;
    case dovetail::kCaffeRoundDown:
      return down + 1 - (down * stride >= in + f.pre[i]);
    case dovetail::kCaffeRoundUp:
      return up + 1 - (up * stride >= in + f.pre[i]);
    case dovetail::kSameUpper:
    case dovetail::kSameLower:
      return (in + stride - 1) / stride;
  }
  dovetail::fail(DT_INVALID_ARGUMENT, "padding mode %d is not known", f.padding_mode);
}

// Throws unless y is what the fields make of x; extents of -1 are checked when they are known.
inline void check_pooling(const dovetail::ConvolveFields& f, const int64_t* x, int x_rank, const int64_t* y,
                          int y_rank) {
  if (x_rank != y_rank || x_rank < f.n_spatial + 1) {
    dovetail::fail(DT_SHAPE, "ranks %d and %d for a window of %d dims", x_rank, y_rank, f.n_spatial);
  }
  for (int i = 0; i < x_rank; ++i) {
    if (x[i] < 0 || y[i] < 0) continue;
    const int spatial = i - (x_rank - f.n_spatial);
    const int64_t wanted = spatial < 0 ? x[i] : pool_extent(f, spatial + 3 - f.n_spatial, x[i]);
    if (y[i] != wanted) {
      dovetail::fail(DT_SHAPE, "extent %d of the output is %lld, not %lld", i, static_cast<long long>(y[i]),
                     static_cast<long long>(wanted));
    }
  }
}

inline const char* fits_pooling(const PoolingParams& params, const dovetail::Descs& inputs,
                                const dovetail::Descs& outputs) {
  const dovetail::ConvolveFields f = pooling_fields(params);
  const dovetail::Desc x = inputs[0], y = outputs[0];
  check_pooling(f, x.dims(), x.rank(), y.dims(), y.rank());
  const dovetail::FormatTraits traits = dovetail::traits_of(static_cast<int32_t>(x.format()));
  if (traits.kind != 0 && traits.spatial != f.n_spatial) return "the format has another number of spatial dims";
  return nullptr;
}

// All of it but the planes, which depend on the format.
inline PoolingArgs pooling_args(const PoolingParams& params, const dovetail::Tensor& x, const dovetail::Tensor& y) {
  const dovetail::ConvolveFields f = pooling_fields(params);
  check_pooling(f, x.dims(), x.rank(), y.dims(), y.rank());
  PoolingArgs args = {};
  args.x = x.data<void>();
  args.y = y.data<void>();
  args.x_type = static_cast<int32_t>(x.type());
  args.y_type = static_cast<int32_t>(y.type());
  args.kind = params.type;
  args.excludes_padding = params.average_count_excludes_padding != 0;
  args.blend = static_cast<float>(params.blend_factor);
  args.scale = args.x_type == DT_TYPE_INT8 && args.y_type == DT_TYPE_FLOAT ? x.scale() : 1.0f;
  int64_t x_extents[3], y_extents[3];
  dovetail::spatial_extents(x.dims(), x.rank(), f.n_spatial, x_extents);
  dovetail::spatial_extents(y.dims(), y.rank(), f.n_spatial, y_extents);
  for (int i = 0; i < 3; ++i) args.axis[i] = pool_axis(f, i, x_extents[i], y_extents[i]);
  return args;
}

#endif
