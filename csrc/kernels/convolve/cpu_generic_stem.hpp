// SPDX-License-Identifier: Apache-2.0
// The kernels of blocked.hpp that read a linear tensor, as first layers have it.
#ifndef DOVETAIL_KERNELS_CONVOLVE_CPU_GENERIC_STEM_HPP
#define DOVETAIL_KERNELS_CONVOLVE_CPU_GENERIC_STEM_HPP

#include "kernels/convolve/blocked_kernels.hpp"

namespace DT_ISA {

BlockedKernel stem_kernel(int64_t n, int64_t blocks, int64_t step) {
  return blocked_kernel_of<kOutputs, true>(n, blocks, step);
}

}  // namespace DT_ISA

#endif
