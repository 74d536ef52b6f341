// SPDX-License-Identifier: Apache-2.0
// y = transpose(reshape(transpose(x, first), dims), second). The dims in between follow from y.
//   inputs   x. The dims as a tensor, if given, are in the extents of y already and not read
//   outputs  y, of x's type and number of elements
//   formats  linear; CHW16 on the side with channels first, if channels last are on the other and nothing else moves
#ifndef DOVETAIL_PLUGINS_SHUFFLE_SHUFFLE_HPP
#define DOVETAIL_PLUGINS_SHUFFLE_SHUFFLE_HPP

#include "dovetail/plugin.hpp"

struct ShuffleParams {
  dovetail::Ints first_transpose;   // axis i of the result is axis v[i]; empty: as it is
  dovetail::Ints second_transpose;  // of the reshaped tensor

  void check_fields() const {
    check_order("first_transpose", first_transpose);
    check_order("second_transpose", second_transpose);
  }
  void check_shapes(const dovetail::Shapes& inputs, const dovetail::Shapes& outputs) const {
    const dovetail::Shape x = inputs.get(0, "x"), y = outputs.get(0, "y");
    check_rank("first_transpose", first_transpose, x);
    check_rank("second_transpose", second_transpose, y);
    expect_volume(y, x.volume());
  }

 private:
  static void check_order(const char* name, const dovetail::Ints& order) {
    unsigned seen = 0;
    for (int i = 0; i < order.n; ++i) {
      dovetail::expect_field(name, order[i], 0, order.n - 1);
      seen |= 1u << order[i];
    }
    if (seen + 1 != 1u << order.n) {
      dovetail::fail(DT_INVALID_ARGUMENT, dovetail::nowhere("field '%s' is not an order of axes"), name);
    }
  }
  static void check_rank(const char* name, const dovetail::Ints& order, const dovetail::Shape& of) {
    if (order.n == 0 || order.n == of.rank()) return;
    dovetail::fail(DT_SHAPE, dovetail::nowhere("%s has rank %d, '%s' %d axes"), of.name(), of.rank(), name,
                   static_cast<int>(order.n));
  }
};
DOVETAIL_READS(ShuffleParams, first_transpose, second_transpose)

#endif
