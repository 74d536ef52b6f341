// SPDX-License-Identifier: Apache-2.0
// y = x with zeros around its innermost axes, or with less of them.
//   inputs   x, linear
//   outputs  y, linear, of x's type
#ifndef DOVETAIL_PLUGINS_PADDING_PADDING_HPP
#define DOVETAIL_PLUGINS_PADDING_PADDING_HPP

#include "dovetail/plugin.hpp"

struct PaddingParams {
  dovetail::Ints pre_padding, post_padding;  // of the innermost axes, outermost first; negative ones cut off

  void check_fields() const {
    constexpr int64_t kMost = INT32_MAX;  // what TensorRT's Dims hold
    if (pre_padding.n != post_padding.n) {
      dovetail::fail(DT_INVALID_ARGUMENT, dovetail::nowhere("field 'post_padding' has %d values, pre_padding has %d"),
                     static_cast<int>(post_padding.n), static_cast<int>(pre_padding.n));
    }
    for (int i = 0; i < pre_padding.n; ++i) {
      dovetail::expect_field("pre_padding", pre_padding[i], -kMost, kMost);
      dovetail::expect_field("post_padding", post_padding[i], -kMost, kMost);
    }
  }
  void check_shapes(const dovetail::Shapes& inputs, const dovetail::Shapes& outputs) const {
    const dovetail::Shape x = inputs.get(0, "x");
    const int first = x.rank() - static_cast<int>(pre_padding.n);  // axis that is padded
    if (first < 0) {
      dovetail::fail(DT_SHAPE, dovetail::nowhere("x has rank %d, 'pre_padding' %d values"), x.rank(),
                     static_cast<int>(pre_padding.n));
    }
    int64_t wanted[DT_MAX_RANK];
    for (int i = 0; i < x.rank(); ++i)
      wanted[i] = i < first ? x[i] : x[i] + pre_padding[i - first] + post_padding[i - first];
    expect_dims(outputs.get(0, "y"), wanted, x.rank());
  }
};
DOVETAIL_READS(PaddingParams, pre_padding, post_padding)

#endif
