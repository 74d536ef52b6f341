// SPDX-License-Identifier: Apache-2.0
// What the rows hand to the kernel of TopK. Its work is comparing and moving one element at a time, so there is one for
// all instruction sets.
#ifndef DOVETAIL_PLUGINS_TOPK_CPU_KERNELS_HPP
#define DOVETAIL_PLUGINS_TOPK_CPU_KERNELS_HPP

#include "dovetail/detail/isa.hpp"
#include "keys.hpp"

// Rows [first, last), counted over outer and inner. `scratch` has 16 bytes for each of k.
DOVETAIL_KERNELS(void topk(const TopkArgs& args, int64_t first, int64_t last, void* scratch);)

#endif
