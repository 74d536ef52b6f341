// SPDX-License-Identifier: Apache-2.0
// y = condition ? a : b; an extent of 1 is repeated along the others'.
//   padding  lanes are written as zeros
#ifndef DOVETAIL_PLUGINS_SELECT_SELECT_HPP
#define DOVETAIL_PLUGINS_SELECT_SELECT_HPP

#include "kernels/pointwise/broadcast.hpp"

struct SelectParams {
  void check_shapes(const dovetail::Shapes& inputs, const dovetail::Shapes& outputs) const {
    const char* const names[] = {"condition", "a", "b"};
    expect_broadcast(inputs, 3, names, outputs);
  }
};
DOVETAIL_READS(SelectParams)

#endif
