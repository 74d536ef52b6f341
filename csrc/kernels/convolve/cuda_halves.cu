// SPDX-License-Identifier: Apache-2.0
// The float16 and bfloat16 tiles of Convolution and Deconvolution.
#include "cuda_mma.cuh"

DOVETAIL_OPEN_NAMESPACE
namespace cuda_convolve {

template <bool is_hwc8, int... shape>
void launch_halves(const Run& run, const CudaConvolve& args, uint32_t blocks) {
  if (args.x_type == DT_TYPE_HALF) {
    launch_mma<MmaTile<__half, is_hwc8, shape...>>(run, args, blocks);
  } else {
    launch_mma<MmaTile<__nv_bfloat16, is_hwc8, shape...>>(run, args, blocks);
  }
}

#define TILE(pixels, maps, warps_along_pixels, warps_along_maps, blocks)                            \
  void halves_linear_##pixels##x##maps(const Run& run, const CudaConvolve& args, uint32_t n) {      \
    launch_halves<false, pixels, maps, warps_along_pixels, warps_along_maps, blocks>(run, args, n); \
  }                                                                                                 \
  void halves_hwc8_##pixels##x##maps(const Run& run, const CudaConvolve& args, uint32_t n) {        \
    launch_halves<true, pixels, maps, warps_along_pixels, warps_along_maps, blocks>(run, args, n);  \
  }

TILE(128, 128, 2, 4, 2)
TILE(128, 64, 2, 2, 3)
TILE(64, 64, 2, 2, 4)
TILE(64, 32, 2, 2, 6)

}  // namespace cuda_convolve
DOVETAIL_CLOSE_NAMESPACE
