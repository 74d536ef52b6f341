// SPDX-License-Identifier: Apache-2.0
// What the rows hand to the kernels of Unary.
#ifndef DOVETAIL_PLUGINS_UNARY_CPU_KERNELS_HPP
#define DOVETAIL_PLUGINS_UNARY_CPU_KERNELS_HPP

#include "dovetail/detail/isa.hpp"
#include "formulas.hpp"

struct UnaryArgs {
  const void* x;
  void* y;
  int32_t type;  // of x
  int32_t kind;
};

// Elements [first, last) in the order of storage.
DOVETAIL_KERNELS(void unary(const UnaryArgs& args, int64_t first, int64_t last);)

#endif
