// SPDX-License-Identifier: Apache-2.0
// Deconvolution@1#cuda: tactics, best first.
#include "kernels/convolve/cuda_rows.hpp"
#include "deconvolution.hpp"

using namespace dovetail;

namespace {

constexpr Row<DeconvolutionParams> kRows[] = {DOVETAIL_CUDA_CONVOLVE_ROWS(DeconvolutionParams, true)};

}  // namespace

DOVETAIL_IMPLEMENTS("Deconvolution@1#cuda", DeconvolutionParams, kRows)
