// SPDX-License-Identifier: Apache-2.0
// What the rows hand to the kernels of Scale: plain numbers, since ISA files see no C++ library.
#ifndef DOVETAIL_PLUGINS_SCALE_CPU_KERNELS_HPP
#define DOVETAIL_PLUGINS_SCALE_CPU_KERNELS_HPP

#include <stdint.h>

#include "dovetail/detail/isa.hpp"

// x and y as stored: [outer, groups, inner, lanes]; element (o, g, i, l) takes parameter g * lanes + l.
struct ScaleArgs {
  const void* x;
  void* y;
  int32_t type;                        // of both: DT_TYPE_FLOAT, HALF or BF16
  const float *scale, *shift, *power;  // [groups * lanes]; null: 1, 0, 1
  int64_t groups, inner, lanes;
};

// Elements [first, last) in the order of storage.
DOVETAIL_KERNELS(void scale(const ScaleArgs& args, int64_t first, int64_t last);)

#endif
