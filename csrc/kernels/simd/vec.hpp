// SPDX-License-Identifier: Apache-2.0
// Vectors of floats, which are public, and the type numbers that kernels switch on.
#ifndef DOVETAIL_KERNELS_SIMD_VEC_HPP
#define DOVETAIL_KERNELS_SIMD_VEC_HPP

#include "dovetail/tile_vectors.hpp"

namespace DT_ISA {

// DT_TYPE_* of plugin.h, of which ISA files see nothing; kernels/layout/format.hpp checks that the two agree.
constexpr int32_t kF32 = 0, kF16 = 1, kI8 = 2, kI32 = 3, kB8 = 4, kU8 = 5, kF8 = 6, kBF16 = 7, kI64 = 8;

}  // namespace DT_ISA

#endif
