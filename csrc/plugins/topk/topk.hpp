// SPDX-License-Identifier: Apache-2.0
// The k greatest or least elements along an axis, in order, and where they were. k is the extent of the outputs.
//   order  of equal elements the one with the lower index comes first; -0 and 0 are equal; NaN counts as greater than
//          all numbers: first among the greatest, last among the least
#ifndef DOVETAIL_PLUGINS_TOPK_TOPK_HPP
#define DOVETAIL_PLUGINS_TOPK_TOPK_HPP

#include "dovetail/plugin.hpp"
#include "kernels/spec/enumerations.hpp"

enum : int32_t { DOVETAIL_TOP_K_OPERATION(DOVETAIL_ENUMERATOR, kTopk) };

struct TopkParams {
  int32_t op = kTopkMax;
  int64_t axes = 0;  // a mask with one bit

  int axis() const {
    int i = 0;
    while (axes >> i > 1) ++i;
    return i;
  }
  void check_fields() const {
    dovetail::expect_field("op", op, kTopkMax, kTopkMin);
    dovetail::expect_field("axes", axes, 1, (1 << DT_MAX_RANK) - 1);
    if ((axes & (axes - 1)) != 0) {
      dovetail::fail(DT_INVALID_ARGUMENT, dovetail::nowhere("field 'axes' is %#llx, more than one axis"),
                     static_cast<unsigned long long>(axes));
    }
  }
  void check_shapes(const dovetail::Shapes& inputs, const dovetail::Shapes& outputs) const {
    const dovetail::Shape x = inputs.get(0, "x"), values = outputs.get(0, "values");
    const int64_t count = x[axis()], k = values[axis()];
    if (k > count) {
      dovetail::fail(DT_SHAPE, dovetail::nowhere("values has %lld of %lld elements"), static_cast<long long>(k),
                     static_cast<long long>(count));
    }
    int64_t wanted[DT_MAX_RANK];
    for (int i = 0; i < x.rank(); ++i) wanted[i] = i == axis() ? k : x[i];
    expect_dims(values, wanted, x.rank());
    expect_same_dims(outputs.get(1, "indices"), values);
  }
};
DOVETAIL_READS(TopkParams, op, axes)

#endif
