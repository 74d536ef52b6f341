// SPDX-License-Identifier: Apache-2.0
// What the rows hand to the kernels of Pooling.
#ifndef DOVETAIL_PLUGINS_POOLING_CPU_KERNELS_HPP
#define DOVETAIL_PLUGINS_POOLING_CPU_KERNELS_HPP

#include "windows.hpp"

// Output rows [first, last), counted over planes, depth and height. `lanes` is 1 or 16.
namespace avx512 {
void pooling(const PoolingArgs& args, int lanes, int64_t first, int64_t last, float* scratch);
}
namespace avx2 {
void pooling(const PoolingArgs& args, int lanes, int64_t first, int64_t last, float* scratch);
}
namespace scalar {
void pooling(const PoolingArgs& args, int lanes, int64_t first, int64_t last, float* scratch);
}

#endif
