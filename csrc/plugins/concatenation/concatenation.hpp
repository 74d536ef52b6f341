// SPDX-License-Identifier: Apache-2.0
// y = the inputs one behind the other along an axis.
//   inputs   any number, linear, of one type; alike in all extents but that of the axis
//   outputs  y, linear
#ifndef DOVETAIL_PLUGINS_CONCATENATION_CONCATENATION_HPP
#define DOVETAIL_PLUGINS_CONCATENATION_CONCATENATION_HPP

#include "dovetail/plugin.hpp"

struct ConcatenationParams {
  int64_t axis = 0;  // negative ones count from the end
};
DOVETAIL_READS(ConcatenationParams, axis)

#endif
