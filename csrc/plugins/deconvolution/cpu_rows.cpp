// SPDX-License-Identifier: Apache-2.0
// Deconvolution@1#cpu: tactics, best first.
#include "kernels/convolve/cpu_rows.hpp"
#include "deconvolution.hpp"

using namespace dovetail;

namespace {

constexpr Row<DeconvolutionParams, ConvolveState> kRows[] = {DOVETAIL_CONVOLVE_ROWS(DeconvolutionParams)};

}  // namespace

DOVETAIL_IMPLEMENTS("Deconvolution@1#cpu", DeconvolutionParams, kRows)
