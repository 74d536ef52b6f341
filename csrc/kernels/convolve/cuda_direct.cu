// SPDX-License-Identifier: Apache-2.0
// Convolution and Deconvolution with one output a thread, and the packing of weights that come at run time.
#include "cuda_direct.cuh"

DOVETAIL_OPEN_NAMESPACE
namespace cuda_convolve {

namespace {

template <class X>
void start(const Run& run, const CudaConvolve& args, uint32_t blocks, bool is_hwc8) {
  const bool has_program = args.ending.program.n_steps > 0;
  if (is_hwc8) {
    launch(run, "convolve_direct_hwc8", has_program ? convolve_direct_hwc8<X, true> : convolve_direct_hwc8<X, false>,
           blocks, 256, 0, args);
  } else {
    launch(run, "convolve_direct", has_program ? convolve_direct<X, true> : convolve_direct<X, false>, blocks, 256, 0,
           args);
  }
}

void start_for_type(const Run& run, const CudaConvolve& args, uint32_t blocks, bool is_hwc8) {
  if (args.x_type == DT_TYPE_FLOAT) start<float>(run, args, blocks, is_hwc8);
  if (args.x_type == DT_TYPE_HALF) start<__half>(run, args, blocks, is_hwc8);
  if (args.x_type == DT_TYPE_BF16) start<__nv_bfloat16>(run, args, blocks, is_hwc8);
  if (args.x_type == DT_TYPE_INT8) start<int8_t>(run, args, blocks, is_hwc8);
}

}  // namespace

void direct(const Run& run, const CudaConvolve& args, uint32_t blocks) { start_for_type(run, args, blocks, false); }
void direct_hwc8(const Run& run, const CudaConvolve& args, uint32_t blocks) { start_for_type(run, args, blocks, true); }

void pack(const Run& run, const CudaPacking& packing) {
  launch(run, "convolve_pack", convolve_pack, blocks_for(packing_units(packing)), kBlock, 0, packing);
}

}  // namespace cuda_convolve
DOVETAIL_CLOSE_NAMESPACE
