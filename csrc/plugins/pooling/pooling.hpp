// SPDX-License-Identifier: Apache-2.0
// Max or average over windows, or a blend of both.
//   numerics sums are float32; NaN gives NaN; a window without a cell of x gives -inf as max and 0 as average
//   int8     stays int8 with the same scale, averages rounded to nearest even; or becomes float32, times the scale
//   uint8    maxima alone, which stay uint8
//   padding  lanes are written as zeros
#ifndef DOVETAIL_PLUGINS_POOLING_POOLING_HPP
#define DOVETAIL_PLUGINS_POOLING_POOLING_HPP

#include "kernels/convolve/fields.hpp"
#include "windows.hpp"

struct PoolingParams {
  int32_t type = kPoolMax;  // PoolingKind
  dovetail::Ints window_size_nd, stride_nd, pre_padding, post_padding;
  int32_t padding_mode = 0;
  double blend_factor = 0;
  int32_t average_count_excludes_padding = 1;

  // The windows are those of a convolution without dilation.
  dovetail::ConvolveFields fields() const {
    dovetail::ConvolveParams as_convolution;
    as_convolution.num_output_maps = 1;
    as_convolution.kernel_size_nd = window_size_nd;
    as_convolution.stride_nd = stride_nd;
    as_convolution.pre_padding = pre_padding;
    as_convolution.post_padding = post_padding;
    as_convolution.padding_mode = padding_mode;
    return dovetail::convolve_fields(as_convolution, false);
  }
  void check_fields() const {
    const char* const window = "window_size_nd";
    dovetail::expect_field("type", type, kPoolMax, kPoolMaxAverageBlend);
    dovetail::check_window(window, window_size_nd);
    dovetail::check_of_window("stride_nd", stride_nd, 1, window, window_size_nd);
    dovetail::check_of_window("pre_padding", pre_padding, 0, window, window_size_nd);
    dovetail::check_of_window("post_padding", post_padding, 0, window, window_size_nd);
    dovetail::expect_field("padding_mode", padding_mode, dovetail::kExplicitRoundDown, dovetail::kCaffeRoundUp);
  }
  void check_shapes(const dovetail::Shapes& inputs, const dovetail::Shapes& outputs) const {
    const dovetail::ConvolveFields f = fields();
    const dovetail::Shape x = inputs.get(0, "x");
    const int first = x.rank() - f.n_spatial;  // axis of the window
    if (first < 1) {
      dovetail::fail(DT_SHAPE, dovetail::nowhere("x has rank %d, with a window of %d extents it has %d or more"),
                     x.rank(), f.n_spatial, f.n_spatial + 1);
    }
    int64_t wanted[DT_MAX_RANK];
    for (int i = 0; i < x.rank(); ++i) wanted[i] = i < first ? x[i] : pooled_extent(f, i - x.rank() + 3, x[i]);
    expect_dims(outputs.get(0, "y"), wanted, x.rank());
  }

  // Extent of y where x has `in`; below 1 where no window fits. Caffe has no window that begins behind x.
  static int64_t pooled_extent(const dovetail::ConvolveFields& f, int i, int64_t in) {
    const int64_t stride = f.stride[i], room = in + f.pre[i] + f.post[i] - f.kernel[i];
    const bool is_caffe = f.padding_mode == dovetail::kCaffeRoundDown || f.padding_mode == dovetail::kCaffeRoundUp;
    const bool rounds_up = f.padding_mode == dovetail::kExplicitRoundUp || f.padding_mode == dovetail::kCaffeRoundUp;
    if (f.is_same()) return (in + stride - 1) / stride;
    const int64_t down = room < 0 ? -((stride - 1 - room) / stride) : room / stride;
    const int64_t up = room < 0 ? -(-room / stride) : (room + stride - 1) / stride;
    const int64_t last = rounds_up ? up : down;
    return last + 1 - (is_caffe && last * stride >= in + f.pre[i]);
  }
};
DOVETAIL_READS(PoolingParams, type, window_size_nd, stride_nd, pre_padding, post_padding, padding_mode, blend_factor,
               average_count_excludes_padding)

#endif
