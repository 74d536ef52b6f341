// SPDX-License-Identifier: Apache-2.0
// Max or average over windows, or a blend of both.
//   numerics sums are float32; NaN gives NaN; a window without a cell of x gives -inf as max and 0 as average
//   int8     stays int8 with the same scale, averages rounded to nearest even; or becomes float32, times the scale
//   padding  lanes are written as zeros
#ifndef DOVETAIL_PLUGINS_POOLING_POOLING_HPP
#define DOVETAIL_PLUGINS_POOLING_POOLING_HPP

#include "dovetail/plugin.hpp"

struct PoolingParams {
  int32_t type = 0;  // PoolingKind
  dovetail::Ints window_size_nd, stride_nd, pre_padding, post_padding;
  int32_t padding_mode = 0;
  double blend_factor = 0;
  int32_t average_count_excludes_padding = 1;
};
DOVETAIL_READS(PoolingParams, type, window_size_nd, stride_nd, pre_padding, post_padding, padding_mode, blend_factor,
               average_count_excludes_padding)

#endif
