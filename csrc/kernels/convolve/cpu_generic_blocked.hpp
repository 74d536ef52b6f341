// SPDX-License-Identifier: Apache-2.0
// The kernels of blocked.hpp that read a tensor in blocks of 16 channels (CHW16).
#ifndef DOVETAIL_KERNELS_CONVOLVE_CPU_GENERIC_BLOCKED_HPP
#define DOVETAIL_KERNELS_CONVOLVE_CPU_GENERIC_BLOCKED_HPP

#include "kernels/convolve/blocked_kernels.hpp"

namespace DT_ISA {

BlockedKernel blocked_kernel(int64_t n, int64_t blocks, int64_t step) {
  return blocked_kernel_of<kOutputs, false>(n, blocks, step);
}

}  // namespace DT_ISA

#endif
