// SPDX-License-Identifier: Apache-2.0
// Fields of convolution and its transpose, on three axes: their checks, and the extents that follow from them.
#ifndef DOVETAIL_KERNELS_CONVOLVE_FIELDS_HPP
#define DOVETAIL_KERNELS_CONVOLVE_FIELDS_HPP

#include "dovetail/plugin.hpp"
#include "kernels/spec/enumerations.hpp"

DOVETAIL_OPEN_NAMESPACE

enum PaddingMode : int32_t { DOVETAIL_PADDING_MODE(DOVETAIL_ENUMERATOR, k) };

// Those in front of a 2-D kernel are one element.
struct ConvolveFields {
  bool is_transposed;
  int n_spatial;
  int64_t groups, maps;  // all maps
  int64_t kernel[3], stride[3], dilation[3], pre[3], post[3];
  int32_t padding_mode;

  bool is_same() const { return padding_mode == kSameUpper || padding_mode == kSameLower; }
  int64_t window(int i) const { return 1 + dilation[i] * (kernel[i] - 1); }
};

// What every layer that convolves reads; its own parameters have this as their base.
struct ConvolveParams {
  int64_t num_output_maps = 0;
  Ints kernel_size_nd;
  Ints stride_nd;                  // empty: ones
  Ints pre_padding, post_padding;  // empty: zeros
  int32_t padding_mode = 0;
  Ints dilation_nd;  // empty: ones
  int64_t num_groups = 1;
};
// For DOVETAIL_READS.
#define DOVETAIL_CONVOLVE_MEMBERS \
  num_output_maps, kernel_size_nd, stride_nd, pre_padding, post_padding, padding_mode, dilation_nd, num_groups

inline ConvolveFields convolve_fields(const ConvolveParams& params, bool is_transposed) {
  ConvolveFields f = {};
  f.is_transposed = is_transposed;
  f.n_spatial = static_cast<int>(params.kernel_size_nd.n);
  f.groups = params.num_groups;
  f.maps = params.num_output_maps;
  f.padding_mode = params.padding_mode;
  for (int i = 0; i < 3; ++i) {
    const int from = i - (3 - f.n_spatial);
    const auto at = [from](const Ints& values, int64_t absent) {
      return from >= 0 && from < values.n ? values[from] : absent;
    };
    f.kernel[i] = at(params.kernel_size_nd, 1);
    f.stride[i] = at(params.stride_nd, 1);
    f.dilation[i] = at(params.dilation_nd, 1);
    f.pre[i] = at(params.pre_padding, 0);
    f.post[i] = at(params.post_padding, 0);
  }
  return f;
}

// What TensorRT's Dims hold; a product of two fits into 64 bits.
constexpr int64_t kMostOfWindow = INT32_MAX;

// Extents of a window.
inline void check_window(const char* name, const Ints& window) {
  if (window.n < 1 || window.n > 3) {
    fail(DT_INVALID_ARGUMENT, nowhere("field '%s' has %lld values, not 1..3"), name, static_cast<long long>(window.n));
  }
  for (int i = 0; i < window.n; ++i) expect_field(name, window[i], 1, kMostOfWindow);
}
// Values for each axis of a window; empty for the default values.
inline void check_of_window(const char* name, const Ints& values, int64_t low, const char* window_name,
                            const Ints& window) {
  if (values.n != 0 && values.n != window.n) {
    fail(DT_INVALID_ARGUMENT, nowhere("field '%s' has %lld values, %s has %lld"), name,
         static_cast<long long>(values.n), window_name, static_cast<long long>(window.n));
  }
  for (int i = 0; i < values.n; ++i) expect_field(name, values[i], low, kMostOfWindow);
}

inline void check_convolve_fields(const ConvolveParams& params) {
  const char* const kernel = "kernel_size_nd";
  check_window(kernel, params.kernel_size_nd);
  check_of_window("stride_nd", params.stride_nd, 1, kernel, params.kernel_size_nd);
  check_of_window("dilation_nd", params.dilation_nd, 1, kernel, params.kernel_size_nd);
  check_of_window("pre_padding", params.pre_padding, 0, kernel, params.kernel_size_nd);
  check_of_window("post_padding", params.post_padding, 0, kernel, params.kernel_size_nd);
  expect_field("padding_mode", params.padding_mode, kExplicitRoundDown, kCaffeRoundUp);
  expect_field("num_output_maps", params.num_output_maps, 1, kMostOfWindow);
  expect_field("num_groups", params.num_groups, 1, params.num_output_maps);
  if (params.num_output_maps % params.num_groups != 0) {
    fail(DT_INVALID_ARGUMENT, nowhere("field 'num_output_maps' is %lld, no multiple of num_groups %lld"),
         static_cast<long long>(params.num_output_maps), static_cast<long long>(params.num_groups));
  }
}

// Elements of padding in front: added to x by a convolution, cut off y by a transposed one. Padding at the end follows
// from y's extent. A negative total of the SAME modes counts as 0: no window then reads outside, and y is the same.
inline int64_t padding_before(const ConvolveFields& f, int i, int64_t in) {
  if (!f.is_same()) return f.pre[i];
  const int64_t window = f.window(i);
  const int64_t total = f.is_transposed ? window - f.stride[i] : (in - 1) / f.stride[i] * f.stride[i] + window - in;
  if (total <= 0) return 0;
  return f.padding_mode == kSameUpper ? total / 2 : total - total / 2;
}

// Extent of y where x has `in`; below 1 where no window fits.
inline int64_t convolved_extent(const ConvolveFields& f, int i, int64_t in) {
  const int64_t window = f.window(i), stride = f.stride[i];
  if (f.is_transposed) {
    if (in - 1 > (INT64_MAX - window) / stride) {
      fail(DT_SHAPE, nowhere("%lld values, %lld apart, do not fit into 64 bits"), static_cast<long long>(in),
           static_cast<long long>(stride));
    }
    const int64_t full = (in - 1) * stride + window;  // of y before it is cut
    if (f.is_same()) return window > stride ? full - (window - stride) : full;
    return full - (f.pre[i] + f.post[i]);
  }
  if (f.is_same()) return (in + stride - 1) / stride;
  const bool is_caffe = f.padding_mode == kCaffeRoundDown || f.padding_mode == kCaffeRoundUp;
  const bool rounds_up = f.padding_mode == kExplicitRoundUp || f.padding_mode == kCaffeRoundUp;
  const int64_t room = in + f.pre[i] + (is_caffe ? f.pre[i] : f.post[i]) - window;
  if (room < 0) return rounds_up ? 1 - -room / stride : 1 - (-room + stride - 1) / stride;
  return 1 + (rounds_up ? room + stride - 1 : room) / stride;
}

// A transposed convolution is as many gathers as its strides have a product.
inline void check_convolve_phases(const ConvolveFields& f) {
  constexpr int64_t kMost = 1 << 16;
  int64_t phases = 1;
  for (int i = 0; f.is_transposed && i < 3; ++i) {
    if (f.stride[i] > kMost / phases) unsupported("strides with a product above %lld", static_cast<long long>(kMost));
    phases *= f.stride[i];
  }
}

// Inputs x, kernel and bias, output y.
inline void check_convolve_shapes(const ConvolveFields& f, const Shapes& inputs, const Shapes& outputs) {
  check_convolve_phases(f);
  const Shape x = inputs.get(0, "x"), kernel = inputs.get(1, "kernel");
  const int channel = x.rank() - f.n_spatial - 1;
  if (channel < 0) {
    fail(DT_SHAPE, nowhere("x has rank %d, with a kernel of %d extents it has %d or more"), x.rank(), f.n_spatial,
         f.n_spatial + 1);
  }
  const int64_t channels = x[channel];
  if (channels % f.groups != 0) {
    fail(DT_SHAPE, nowhere("x has %lld channels, no multiple of num_groups %lld"), static_cast<long long>(channels),
         static_cast<long long>(f.groups));
  }
  const int64_t* window = f.kernel + 3 - f.n_spatial;
  int64_t wanted[DT_MAX_RANK] = {f.is_transposed ? channels : f.maps, (f.is_transposed ? f.maps : channels) / f.groups};
  for (int i = 0; i < f.n_spatial; ++i) wanted[2 + i] = window[i];
  expect_dims(kernel, wanted, 2 + f.n_spatial);
  if (inputs.has(2)) expect_dims(inputs.get(2, "bias"), &f.maps, 1);
  for (int i = 0; i < x.rank(); ++i) {
    const int axis = i - x.rank() + 3;  // of the fields
    wanted[i] = i < channel ? x[i] : i == channel ? f.maps : convolved_extent(f, axis, x[i]);
  }
  expect_dims(outputs.get(0, "y"), wanted, x.rank());
}

DOVETAIL_CLOSE_NAMESPACE

#endif
