// SPDX-License-Identifier: Apache-2.0
// y[z, s] = exp(x[z, s]) / sum of exp(x[z, :n]) for s < n = bounds[z], 0 from there on
//   dims     x [..., S], bounds [..., 1]; bounds below 0 count as 0, those above S as S
//   numerics the row's maximum is subtracted first; float32 whatever the type
#ifndef DOVETAIL_PLUGINS_RAGGED_SOFTMAX_RAGGED_SOFTMAX_HPP
#define DOVETAIL_PLUGINS_RAGGED_SOFTMAX_RAGGED_SOFTMAX_HPP

#include "dovetail/plugin.hpp"

struct RaggedSoftMaxParams {
  void check_shapes(const dovetail::Shapes& inputs, const dovetail::Shapes& outputs) const {
    const dovetail::Shape x = inputs.get(0, "x");
    expect_same_dims(outputs.get(0, "y"), x);
    if (x.rank() < 1) dovetail::fail(DT_SHAPE, "x has no dims");
    int64_t wanted[DT_MAX_RANK];
    for (int i = 0; i < x.rank(); ++i) wanted[i] = i + 1 < x.rank() ? x.dims()[i] : 1;
    expect_dims(inputs.get(1, "bounds"), wanted, x.rank());
  }
};
DOVETAIL_READS(RaggedSoftMaxParams)

#endif
