// SPDX-License-Identifier: Apache-2.0
// The kernel of convolution for tile registers.
// Instruction sets: amx.
#ifndef DOVETAIL_KERNELS_CONVOLVE_CPU_GENERIC_AMX_HPP
#define DOVETAIL_KERNELS_CONVOLVE_CPU_GENERIC_AMX_HPP

#include "kernels/convolve/amx.hpp"

#endif
