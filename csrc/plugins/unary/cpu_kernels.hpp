// SPDX-License-Identifier: Apache-2.0
// What the rows hand to the kernels of Unary.
#ifndef DOVETAIL_PLUGINS_UNARY_CPU_KERNELS_HPP
#define DOVETAIL_PLUGINS_UNARY_CPU_KERNELS_HPP

#include "formulas.hpp"

struct UnaryArgs {
  const void* x;
  void* y;
  int32_t type;  // of x
  int32_t kind;
};

// Elements [first, last) in the order of storage.
namespace avx512 {
void unary(const UnaryArgs& args, int64_t first, int64_t last);
}
namespace avx2 {
void unary(const UnaryArgs& args, int64_t first, int64_t last);
}
namespace scalar {
void unary(const UnaryArgs& args, int64_t first, int64_t last);
}

#endif
