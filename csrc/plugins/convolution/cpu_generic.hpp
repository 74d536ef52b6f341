// SPDX-License-Identifier: Apache-2.0
// The algorithms of Convolution, compiled once per instruction set: those that it shares with its counterpart.
#ifndef DOVETAIL_PLUGINS_CONVOLUTION_CPU_GENERIC_HPP
#define DOVETAIL_PLUGINS_CONVOLUTION_CPU_GENERIC_HPP

#include "cpu_kernels.hpp"
#include "dovetail/simd/convolve_int8.hpp"
#if !defined(__AVX512VNNI__)
#include "dovetail/simd/convolve_blocked.hpp"
#include "dovetail/simd/convolve_gemm.hpp"
#endif

namespace DT_ISA {

void convolution_int8(const ConvolveArgs& args, int64_t first, int64_t last, int64_t first_panel, int64_t last_panel,
                      void* scratch) {
  convolve_int8(args, first, last, first_panel, last_panel, scratch);
}

#if !defined(__AVX512VNNI__)  // only sums of 8-bit products gain by those instructions
void convolution_gemm(const ConvolveArgs& args, int64_t first, int64_t last, int64_t first_panel, int64_t last_panel,
                      void* scratch) {
  convolve_gemm(args, first, last, first_panel, last_panel, scratch);
}

void convolution_rows(const ConvolveArgs& args, int64_t first, int64_t last) { convolve_rows(args, first, last); }
// First layers read linear images.
void convolution_blocked(const ConvolveArgs& args, int64_t first, int64_t last) {
  convolve_blocked<true>(args, first, last);
}
int64_t convolution_blocked_items(const ConvolveArgs& args) { return convolve_blocked_items(args); }
void convolution_depthwise(const ConvolveArgs& args, int64_t first, int64_t last) {
  convolve_depthwise(args, first, last);
}
#endif

}  // namespace DT_ISA

#endif
