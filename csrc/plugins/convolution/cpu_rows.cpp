// SPDX-License-Identifier: Apache-2.0
// Convolution@1#cpu: tactics, best first.
#include "kernels/convolve/cpu_rows.hpp"
#include "convolution.hpp"

using namespace dovetail;

namespace {

constexpr Row<ConvolutionParams, ConvolveState> kRows[] = {DOVETAIL_CONVOLVE_ROWS(ConvolutionParams)};

}  // namespace

DOVETAIL_IMPLEMENTS("Convolution@1#cpu", ConvolutionParams, kRows)
