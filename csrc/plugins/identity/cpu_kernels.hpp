// SPDX-License-Identifier: Apache-2.0
// What the rows hand to the kernels of Identity.
#ifndef DOVETAIL_PLUGINS_IDENTITY_CPU_KERNELS_HPP
#define DOVETAIL_PLUGINS_IDENTITY_CPU_KERNELS_HPP

#include <stdint.h>

struct IdentityArgs {
  const void* x;
  void* y;
  int32_t x_type, y_type;  // DT_TYPE_*, not FP8
};

// Elements [first, last) in the order of storage.
namespace avx512 {
void identity(const IdentityArgs& args, int64_t first, int64_t last);
}
namespace avx2 {
void identity(const IdentityArgs& args, int64_t first, int64_t last);
}
namespace scalar {
void identity(const IdentityArgs& args, int64_t first, int64_t last);
}

#endif
