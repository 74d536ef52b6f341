// SPDX-License-Identifier: Apache-2.0
// The kernels of convolution in groups of 2, 4 or 8 channels.
#ifndef DOVETAIL_KERNELS_CONVOLVE_CPU_GENERIC_GROUPED_HPP
#define DOVETAIL_KERNELS_CONVOLVE_CPU_GENERIC_GROUPED_HPP

#include "kernels/convolve/grouped.hpp"

#endif
