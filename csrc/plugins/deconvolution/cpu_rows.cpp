// SPDX-License-Identifier: Apache-2.0
// Deconvolution@1#cpu: tactics, best first.
#include "kernels/convolve/cpu_rows.hpp"
#include "deconvolution.hpp"
#include "kernels/convolve/merged_rows.hpp"
#include "kernels/convolve/winograd_rows.hpp"

using namespace dovetail;

namespace {

constexpr Row<DeconvolutionParams, WinogradState> kWinogradRows[] = {
    DOVETAIL_WINOGRAD_ROWS_OF_TWO_TAPS(DeconvolutionParams) DOVETAIL_WINOGRAD_ROWS(DeconvolutionParams)};
constexpr Row<DeconvolutionParams, MergedState> kMergedRows[] = {DOVETAIL_MERGED_ROWS(DeconvolutionParams)};
constexpr Row<DeconvolutionParams, ConvolveState> kRows[] = {DOVETAIL_CONVOLVE_ROWS(DeconvolutionParams)};

}  // namespace

DOVETAIL_IMPLEMENTS("Deconvolution@1#cpu", DeconvolutionParams, kRows, kWinogradRows, kMergedRows)
