// SPDX-License-Identifier: Apache-2.0
// The kernels of Winograd's convolution.
#ifndef DOVETAIL_KERNELS_CONVOLVE_CPU_GENERIC_WINOGRAD_HPP
#define DOVETAIL_KERNELS_CONVOLVE_CPU_GENERIC_WINOGRAD_HPP

#include "kernels/convolve/winograd.hpp"

#endif
