// SPDX-License-Identifier: Apache-2.0
// y = op(a, b); an extent of 1 is repeated along the other's.
//   numerics float16 and bfloat16 are computed in float32. Integers wrap around. DIV of integers drops the fraction,
//            FLOOR_DIV rounds down; divided by zero they give 0. POW of integers to a negative power gives 0, but +-1
//            of +-1. MAX and MIN give NaN if either is. MOD has the sign of b, FMOD that of a, of integers 0 for b = 0
//   outputs  comparisons and logical ops give BOOL, the others the type of a
//   padding  lanes are written as zeros
#ifndef DOVETAIL_PLUGINS_ELEMENTWISE_ELEMENTWISE_HPP
#define DOVETAIL_PLUGINS_ELEMENTWISE_ELEMENTWISE_HPP

#include "kernels/pointwise/broadcast.hpp"

struct ElementwiseParams {
  int32_t op = 0;  // ElementwiseKind: 0..13, or 100..106

  void check_fields() const {
    if (op < 100) {
      dovetail::expect_field("op", op, 0, 13);
    } else {
      dovetail::expect_field("op", op, 100, 106);
    }
  }
  void check_shapes(const dovetail::Shapes& inputs, const dovetail::Shapes& outputs) const {
    const char* const names[] = {"a", "b"};
    expect_broadcast(inputs, 2, names, outputs);
  }
};
DOVETAIL_READS(ElementwiseParams, op)

#endif
