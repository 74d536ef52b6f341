// SPDX-License-Identifier: Apache-2.0
// What the rows of Pooling have in common on all devices.
#ifndef DOVETAIL_PLUGINS_POOLING_ROWS_HPP
#define DOVETAIL_PLUGINS_POOLING_ROWS_HPP

#include "kernels/convolve/geometry.hpp"
#include "pooling.hpp"

inline PoolAxis pool_axis(const dovetail::ConvolveFields& f, int i, int64_t in, int64_t out) {
  PoolAxis axis = {in, out, f.kernel[i], f.stride[i], dovetail::padding_before(f, i, in), f.post[i]};
  if (f.is_same()) {
    const int64_t behind = (out - 1) * axis.stride - axis.before + axis.window - in;
    axis.after = behind > 0 ? behind : 0;
  }
  return axis;
}

inline const char* fits_pooling(const PoolingParams& params, const dovetail::Descs& inputs, const dovetail::Descs&) {
  const dovetail::FormatTraits traits = dovetail::traits_of(static_cast<int32_t>(inputs[0].format()));
  const bool fits = traits.kind == 0 || traits.spatial == params.window_size_nd.n;
  return fits ? nullptr : "the format has another number of spatial dims";
}

// All of it but the planes, which depend on the format, and the addresses. View: Tensor, or Desc of known extents.
template <class View>
PoolingArgs pooling_args(const PoolingParams& params, const View& x, const View& y) {
  const dovetail::ConvolveFields f = params.fields();
  PoolingArgs args = {};
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
