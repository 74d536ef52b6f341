// SPDX-License-Identifier: Apache-2.0
// y has x's elements, in another format or type or both.
//   inputs   x in any format that is computed with; the channel axis is that of the format that has one
//   types    bits are copied where x and y have one type; others are converted as Cast does (see identity.hpp). INT8
//   with
//            a scale is converted to and from floats as Dequantize and Quantize do, and to nothing else
//   padding  lanes are not read, and written as zeros
#ifndef DOVETAIL_PLUGINS_REFORMAT_REFORMAT_HPP
#define DOVETAIL_PLUGINS_REFORMAT_REFORMAT_HPP

#include "dovetail/plugin.hpp"

struct ReformatParams {
  void check_shapes(const dovetail::Shapes& inputs, const dovetail::Shapes& outputs) const {
    expect_same_dims(outputs.get(0, "y"), inputs.get(0, "x"));
  }
};
DOVETAIL_READS(ReformatParams)

#endif
