// SPDX-License-Identifier: Apache-2.0
// Elementary functions of one float: those that are public.
#ifndef DOVETAIL_KERNELS_SIMD_MATH_HPP
#define DOVETAIL_KERNELS_SIMD_MATH_HPP

#include "dovetail/tile_math.hpp"
#include "kernels/simd/vec.hpp"

#endif
