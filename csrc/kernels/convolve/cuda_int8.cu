// SPDX-License-Identifier: Apache-2.0
// The int8 tiles of Convolution and Deconvolution: exact sums in int32, float32 results.
#include "cuda_mma.cuh"

DOVETAIL_OPEN_NAMESPACE
namespace cuda_convolve {

#define TILE(pixels, maps, warps_along_pixels, warps_along_maps, blocks)                                          \
  void int8_linear_##pixels##x##maps(const Run& run, const CudaConvolve& args, uint32_t n) {                      \
    launch_mma<MmaTile<int8_t, false, pixels, maps, warps_along_pixels, warps_along_maps, blocks>>(run, args, n); \
  }                                                                                                               \
  void int8_hwc8_##pixels##x##maps(const Run& run, const CudaConvolve& args, uint32_t n) {                        \
    launch_mma<MmaTile<int8_t, true, pixels, maps, warps_along_pixels, warps_along_maps, blocks>>(run, args, n);  \
  }

TILE(128, 128, 2, 4, 2)
TILE(128, 64, 2, 2, 3)
TILE(64, 64, 2, 2, 4)
TILE(64, 32, 2, 2, 6)

}  // namespace cuda_convolve
DOVETAIL_CLOSE_NAMESPACE
