// SPDX-License-Identifier: Apache-2.0
// Convolution@1#cuda: tactics, best first.
#include "kernels/convolve/cuda_rows.hpp"
#include "convolution.hpp"

using namespace dovetail;

namespace {

constexpr Row<ConvolutionParams> kRows[] = {DOVETAIL_CUDA_CONVOLVE_ROWS(ConvolutionParams, false)};

}  // namespace

DOVETAIL_IMPLEMENTS("Convolution@1#cuda", ConvolutionParams, kRows)
