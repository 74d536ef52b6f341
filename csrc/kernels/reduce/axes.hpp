// SPDX-License-Identifier: Apache-2.0
// Masks of axes in fields: bit i is axis i.
#ifndef DOVETAIL_KERNELS_REDUCE_AXES_HPP
#define DOVETAIL_KERNELS_REDUCE_AXES_HPP

#include "dovetail/plugin.hpp"

DOVETAIL_OPEN_NAMESPACE

inline bool has_axis(int64_t axes, int i) { return (axes >> i & 1) != 0; }

// `given` must have all of them.
inline void expect_axes(const Shape& given, int64_t axes) {
  if (axes >= 0 && axes >> given.rank() == 0) return;
  fail(DT_SHAPE, nowhere("%s of rank %d has not the axes %#llx"), given.name(), given.rank(),
       static_cast<unsigned long long>(axes));
}

DOVETAIL_CLOSE_NAMESPACE

#endif
