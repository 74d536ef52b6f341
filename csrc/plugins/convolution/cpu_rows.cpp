// SPDX-License-Identifier: Apache-2.0
// Convolution@1#cpu: tactics, best first.
#include "kernels/convolve/cpu_rows.hpp"
#include "convolution.hpp"
#include "kernels/convolve/winograd_rows.hpp"

using namespace dovetail;

namespace {

constexpr Row<ConvolutionParams, WinogradState> kWinogradRows[] = {DOVETAIL_WINOGRAD_ROWS(ConvolutionParams)};
constexpr Row<ConvolutionParams, ConvolveState> kRows[] = {DOVETAIL_CONVOLVE_ROWS(ConvolutionParams)};

}  // namespace

DOVETAIL_IMPLEMENTS("Convolution@1#cpu", ConvolutionParams, kRows, kWinogradRows)
