// SPDX-License-Identifier: Apache-2.0
// The kernels of depthwise.hpp.
#ifndef DOVETAIL_KERNELS_CONVOLVE_CPU_GENERIC_DEPTHWISE_HPP
#define DOVETAIL_KERNELS_CONVOLVE_CPU_GENERIC_DEPTHWISE_HPP

#include "kernels/convolve/depthwise_kernels.hpp"

#endif
