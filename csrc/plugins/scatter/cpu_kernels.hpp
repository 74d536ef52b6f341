// SPDX-License-Identifier: Apache-2.0
// What the rows hand to the kernel of Scatter that combines.
#ifndef DOVETAIL_PLUGINS_SCATTER_CPU_KERNELS_HPP
#define DOVETAIL_PLUGINS_SCATTER_CPU_KERNELS_HPP

#include <stdint.h>

#include "dovetail/detail/isa.hpp"

// y[i] meets updates[i], for n neighbours of a type of DT_TYPE_*.
DOVETAIL_KERNELS(void combine(int32_t type, int32_t reduction, const void* updates, void* y, int64_t n);)

#endif
