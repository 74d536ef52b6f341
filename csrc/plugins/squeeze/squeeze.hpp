// SPDX-License-Identifier: Apache-2.0
// y = x without axes of extent 1. A copy: the axes are in the extents of y.
//   inputs   x, linear; the axes as a tensor are not read
//   outputs  y, linear, of x's type and number of elements
#ifndef DOVETAIL_PLUGINS_SQUEEZE_SQUEEZE_HPP
#define DOVETAIL_PLUGINS_SQUEEZE_SQUEEZE_HPP

#include "dovetail/plugin.hpp"

struct SqueezeParams {
  void check_shapes(const dovetail::Shapes& inputs, const dovetail::Shapes& outputs) const {
    expect_volume(outputs.get(0, "y"), inputs.get(0, "x").volume());
  }
};
DOVETAIL_READS(SqueezeParams)

#endif
