// SPDX-License-Identifier: Apache-2.0
// The kernels of convolution and its transpose, compiled once per instruction set. Two sets have one kernel only.
// Instruction sets: all, avx512vnni, avx512bf16.
#ifndef DOVETAIL_KERNELS_CONVOLVE_CPU_GENERIC_HPP
#define DOVETAIL_KERNELS_CONVOLVE_CPU_GENERIC_HPP

#if defined(__AVX512BF16__)
#include "kernels/convolve/bf16.hpp"
#elif defined(__AVX512VNNI__)
#include "kernels/convolve/int8.hpp"
#else
#include "kernels/convolve/blocked.hpp"
#include "kernels/convolve/depthwise.hpp"
#include "kernels/convolve/expanded.hpp"
#include "kernels/convolve/gemm.hpp"
#include "kernels/convolve/grouped.hpp"
#include "kernels/convolve/int8.hpp"
#include "kernels/convolve/spread.hpp"
#include "kernels/convolve/winograd.hpp"
#endif

#endif
