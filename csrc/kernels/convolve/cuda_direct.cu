// SPDX-License-Identifier: Apache-2.0
// Convolution and Deconvolution with one output a thread, and the packing of weights that come at run time.
#include "cuda_direct.cuh"

DOVETAIL_OPEN_NAMESPACE
namespace cuda_convolve {

void direct(const Run& run, const CudaConvolve& args, uint32_t blocks) {
  const char* const name = "convolve_direct";
  if (args.x_type == DT_TYPE_FLOAT) launch(run, name, convolve_direct<float>, blocks, 256, 0, args);
  if (args.x_type == DT_TYPE_HALF) launch(run, name, convolve_direct<__half>, blocks, 256, 0, args);
  if (args.x_type == DT_TYPE_BF16) launch(run, name, convolve_direct<__nv_bfloat16>, blocks, 256, 0, args);
  if (args.x_type == DT_TYPE_INT8) launch(run, name, convolve_direct<int8_t>, blocks, 256, 0, args);
}

void direct_hwc8(const Run& run, const CudaConvolve& args, uint32_t blocks) {
  const char* const name = "convolve_direct_hwc8";
  if (args.x_type == DT_TYPE_FLOAT) launch(run, name, convolve_direct_hwc8<float>, blocks, 256, 0, args);
  if (args.x_type == DT_TYPE_HALF) launch(run, name, convolve_direct_hwc8<__half>, blocks, 256, 0, args);
  if (args.x_type == DT_TYPE_BF16) launch(run, name, convolve_direct_hwc8<__nv_bfloat16>, blocks, 256, 0, args);
  if (args.x_type == DT_TYPE_INT8) launch(run, name, convolve_direct_hwc8<int8_t>, blocks, 256, 0, args);
}

void pack(const Run& run, const CudaPacking& packing) {
  launch(run, "convolve_pack", convolve_pack, blocks_for(packing_units(packing)), kBlock, 0, packing);
}

}  // namespace cuda_convolve
DOVETAIL_CLOSE_NAMESPACE
