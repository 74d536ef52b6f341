// SPDX-License-Identifier: Apache-2.0
// The kernels of blocked.hpp for 1x1 windows that move by one.
#ifndef DOVETAIL_KERNELS_CONVOLVE_CPU_GENERIC_POINTWISE_HPP
#define DOVETAIL_KERNELS_CONVOLVE_CPU_GENERIC_POINTWISE_HPP

#include "kernels/convolve/pointwise_kernels.hpp"

#endif
