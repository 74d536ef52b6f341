// SPDX-License-Identifier: Apache-2.0
// The kernels of convolution and its transpose, compiled once per instruction set. Two sets have one kernel only. Those
// that take long to compile have a cpu_generic_<kind>.hpp each.
// Instruction sets: all, avx512vnni, avx512bf16.
#ifndef DOVETAIL_KERNELS_CONVOLVE_CPU_GENERIC_HPP
#define DOVETAIL_KERNELS_CONVOLVE_CPU_GENERIC_HPP

#if defined(__AVX512BF16__)
#include "kernels/convolve/bf16.hpp"
#elif defined(__AVX512VNNI__)
#include "kernels/convolve/int8.hpp"
#else
#include "kernels/convolve/blocked.hpp"
#include "kernels/convolve/expanded.hpp"
#include "kernels/convolve/gemm.hpp"
#include "kernels/convolve/int8.hpp"
#include "kernels/convolve/spread.hpp"
#endif

#endif
