// SPDX-License-Identifier: Apache-2.0
// y[n] = probabilities of all classes that agree best with x[n], those of the first of two classes for each pair.
//   inputs   x [rows, n_classes (n_classes - 1) / 2], linear: pairs (0, 1), (0, 2) ... (1, 2) ...
//   outputs  y [rows, n_classes], linear
#ifndef DOVETAIL_PLUGINS_PAIRWISE_COUPLING_PAIRWISE_COUPLING_HPP
#define DOVETAIL_PLUGINS_PAIRWISE_COUPLING_PAIRWISE_COUPLING_HPP

#include "dovetail/plugin.hpp"

struct PairwiseCouplingParams {
  int64_t n_classes = 2;

  void check_fields() const { dovetail::expect_field("n_classes", n_classes, 2, 1024); }
  void check_shapes(const dovetail::Shapes& inputs, const dovetail::Shapes& outputs) const {
    const dovetail::Shape x = inputs.get(0, "x"), y = outputs.get(0, "y");
    if (x.rank() != 2) dovetail::fail(DT_SHAPE, "x has %d axes, not rows and pairs", x.rank());
    const int64_t pairs[] = {x[0], n_classes * (n_classes - 1) / 2}, wanted[] = {x[0], n_classes};
    expect_dims(x, pairs, 2);
    expect_dims(y, wanted, 2);
  }
};
DOVETAIL_READS(PairwiseCouplingParams, n_classes)

#endif
