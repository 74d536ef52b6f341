// SPDX-License-Identifier: Apache-2.0
// y has x's elements, converted to y's type as Identity does: see identity.hpp.
#ifndef DOVETAIL_PLUGINS_CAST_CAST_HPP
#define DOVETAIL_PLUGINS_CAST_CAST_HPP

#include "dovetail/plugin.hpp"

struct CastParams {  // the types are the tensors'
  void check_shapes(const dovetail::Shapes& inputs, const dovetail::Shapes& outputs) const {
    expect_same_dims(outputs.get(0, "y"), inputs.get(0, "x"));
  }
};
DOVETAIL_READS(CastParams)

#endif
