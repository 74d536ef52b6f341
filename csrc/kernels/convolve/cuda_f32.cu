// SPDX-License-Identifier: Apache-2.0
// The float32 tiles of Convolution and Deconvolution.
#include "cuda_ffma.cuh"

DOVETAIL_OPEN_NAMESPACE
namespace cuda_convolve {

#define TILE(pixels, maps, thread_pixels, thread_maps, blocks)                                    \
  void f32_linear_##pixels##x##maps(const Run& run, const CudaConvolve& args, uint32_t n) {       \
    launch_ffma<FfmaTile<false, pixels, maps, thread_pixels, thread_maps, blocks>>(run, args, n); \
  }                                                                                               \
  void f32_hwc8_##pixels##x##maps(const Run& run, const CudaConvolve& args, uint32_t n) {         \
    launch_ffma<FfmaTile<true, pixels, maps, thread_pixels, thread_maps, blocks>>(run, args, n);  \
  }

TILE(128, 128, 8, 8, 2)
TILE(128, 64, 8, 8, 3)
TILE(64, 64, 8, 4, 4)
TILE(64, 32, 4, 4, 6)

}  // namespace cuda_convolve
DOVETAIL_CLOSE_NAMESPACE
