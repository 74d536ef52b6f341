// SPDX-License-Identifier: Apache-2.0
// y has x's bits, as another type of the same width.
//   inputs   x, linear
//   outputs  y, linear; may be x
#ifndef DOVETAIL_PLUGINS_BIT_CAST_BIT_CAST_HPP
#define DOVETAIL_PLUGINS_BIT_CAST_BIT_CAST_HPP

#include "dovetail/plugin.hpp"

struct BitCastParams {  // the types are the tensors'
  void check_shapes(const dovetail::Shapes& inputs, const dovetail::Shapes& outputs) const {
    const dovetail::Shape x = inputs.get(0, "x"), y = outputs.get(0, "y");
    expect_same_dims(y, x);
    if (dovetail::size_of(x.type()) != dovetail::size_of(y.type())) {
      dovetail::fail(DT_SHAPE, dovetail::nowhere("elements of x and y are not of one width"));
    }
  }
};
DOVETAIL_READS(BitCastParams)

// Pairs, in their order. Any byte may be a UINT8, but no BOOL.
constexpr char kBitCastTypes[] = "f32|i32|f16|bf16|i8|u8|b8 -> i32|f32|bf16|f16|u8|i8|u8";

#endif
