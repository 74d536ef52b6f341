// SPDX-License-Identifier: Apache-2.0
// y = x with the first sequence_lens[b] elements of each sequence b in reverse order.
//   inputs x, sequence_lens; lengths beyond the sequences count as the nearest that are not
#ifndef DOVETAIL_PLUGINS_REVERSE_SEQUENCE_REVERSE_SEQUENCE_HPP
#define DOVETAIL_PLUGINS_REVERSE_SEQUENCE_REVERSE_SEQUENCE_HPP

#include "dovetail/plugin.hpp"

struct ReverseSequenceParams {
  int64_t batch_axis = 1, sequence_axis = 0;

  void check_fields() const {
    dovetail::expect_field("batch_axis", batch_axis, -DT_MAX_RANK, DT_MAX_RANK - 1);
    dovetail::expect_field("sequence_axis", sequence_axis, -DT_MAX_RANK, DT_MAX_RANK - 1);
  }
  void check_shapes(const dovetail::Shapes& inputs, const dovetail::Shapes& outputs) const {
    const dovetail::Shape x = inputs.get(0, "x");
    const int64_t n = x[batch_axis];  // throws if there is no such axis
    (void)x[sequence_axis];
    if (place(batch_axis, x.rank()) == place(sequence_axis, x.rank())) {
      dovetail::fail(DT_SHAPE, "batch_axis and sequence_axis are both %lld", static_cast<long long>(sequence_axis));
    }
    expect_dims(inputs.get(1, "sequence_lens"), &n, 1);
    expect_same_dims(outputs.get(0, "y"), x);
  }
  static int place(int64_t axis, int rank) { return static_cast<int>(axis < 0 ? axis + rank : axis); }
};
DOVETAIL_READS(ReverseSequenceParams, batch_axis, sequence_axis)

#endif
