// SPDX-License-Identifier: Apache-2.0
// GatedConvolution@1#cpu: tactics, best first.
#include "kernels/convolve/cpu_rows.hpp"
#include "gated_convolution.hpp"

using namespace dovetail;

namespace {

#define GATED_ROW(isa, features)                                                                   \
  DT_CONVOLVE_ROW(GatedConvolutionParams, "chw16", gated, isa, features, "f32 f32 f32 f32 -> f32", \
                  "chw16 linear linear linear -> chw16")

constexpr Row<GatedConvolutionParams, ConvolveState> kRows[] = {DOVETAIL_EACH_ISA(GATED_ROW)};

}  // namespace

DOVETAIL_IMPLEMENTS("GatedConvolution@1#cpu", GatedConvolutionParams, kRows)
