// SPDX-License-Identifier: Apache-2.0
// The kernels of convolution and its transpose, compiled once per instruction set.
// Instruction sets: all, avx512vnni.
#ifndef DOVETAIL_KERNELS_CONVOLVE_CPU_GENERIC_HPP
#define DOVETAIL_KERNELS_CONVOLVE_CPU_GENERIC_HPP

#include "kernels/convolve/int8.hpp"
#if !defined(__AVX512VNNI__)  // only sums of 8-bit products gain by those instructions
#include "kernels/convolve/blocked.hpp"
#include "kernels/convolve/gemm.hpp"
#endif

#endif
