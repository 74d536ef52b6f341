// SPDX-License-Identifier: Apache-2.0
// y is x, but for the elements that indices name: they are those of the updates, or combined with them.
//   inputs   x, indices and updates, linear; updates of x's type
//   numerics negative indices count from the end; beyond [-extent, extent) they change nothing. Of updates of one
//            element the last in row-major order holds on the CPU, any of them on a GPU; where they are combined, it is
//            one after the other, each result rounded to the type, in row-major order on the CPU and in any on a GPU
//   outputs  y, linear, of x's type and extents
#ifndef DOVETAIL_PLUGINS_SCATTER_SCATTER_HPP
#define DOVETAIL_PLUGINS_SCATTER_SCATTER_HPP

#include "dovetail/plugin.hpp"

struct ScatterParams {
  int32_t mode = 0;  // ScatterMode
  int64_t axis = 0;
  int32_t reduction = 0;  // ScatterReduction
};
DOVETAIL_READS(ScatterParams, mode, axis, reduction)

#endif
