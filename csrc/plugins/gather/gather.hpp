// SPDX-License-Identifier: Apache-2.0
// y holds the elements of x that indices name.
//   inputs   x and indices, linear
//   numerics negative indices count from the end; beyond [-extent, extent) they give 0
//   outputs  y, linear, of x's type
#ifndef DOVETAIL_PLUGINS_GATHER_GATHER_HPP
#define DOVETAIL_PLUGINS_GATHER_GATHER_HPP

#include "dovetail/plugin.hpp"

struct GatherParams {
  int32_t mode = 0;  // GatherMode
  int64_t axis = 0, num_elementwise_dims = 0;
};
DOVETAIL_READS(GatherParams, mode, axis, num_elementwise_dims)

#endif
