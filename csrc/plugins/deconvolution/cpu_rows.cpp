// SPDX-License-Identifier: Apache-2.0
// Deconvolution@1#cpu: tactics, best first.
#include "cpu_kernels.hpp"
#include "deconvolution.hpp"
#include "dovetail/convolve_rows.hpp"

using namespace dovetail;

namespace {

#define KERNELS(isa)                                                                      \
  constexpr ConvolveKernels k_##isa = {.gemm = isa::deconvolution_gemm,                   \
                                       .int8 = isa::deconvolution_int8,                   \
                                       .rows = isa::deconvolution_rows,                   \
                                       .blocked = isa::deconvolution_blocked,             \
                                       .depthwise = isa::deconvolution_depthwise,         \
                                       .blocked_items = isa::deconvolution_blocked_items, \
                                       .panel = isa::kConvolvePanel,                      \
                                       .tile = isa::kConvolveTile};
#if defined(__x86_64__)
constexpr ConvolveKernels k_avx512vnni = {
    .int8 = avx512vnni::deconvolution_int8, .panel = avx512vnni::kConvolvePanel, .tile = avx512vnni::kConvolveTile};
KERNELS(avx512)
KERNELS(avx2)
#endif
KERNELS(scalar)

template <const ConvolveKernels& kernels, ConvolveKind kind>
using Kernel = ConvolveRowOf<DeconvolutionParams, kernels, kind>;

// Weights and bias are float32 or of x's type.
#define WEIGHTS "f32|f16|bf16|f32|f32"
#define FLOATS "f32|f16|bf16|f16|bf16 " WEIGHTS " " WEIGHTS " -> f32|f16|bf16|f16|bf16"
#define FLOAT32 "f32 f32 f32 -> f32"
#define INT8 "i8 i8 f32 -> f32"

#define ROW(name, kind, isa, features, types_, formats_)        \
  {.tactic = name "_" #isa,                                     \
   .needs = features,                                           \
   .types = types_,                                             \
   .formats = formats_,                                         \
   .fits = Kernel<k_##isa, ConvolveKind::kind>::fits,           \
   .prepare = Kernel<k_##isa, ConvolveKind::kind>::prepare,     \
   .workspace = Kernel<k_##isa, ConvolveKind::kind>::workspace, \
   .enqueue = Kernel<k_##isa, ConvolveKind::kind>::enqueue},
#define INT8_ROW(isa, features) ROW("int8", int8, isa, features, INT8, "linear")
#define FLOAT_ROWS(isa, features)                                                           \
  ROW("depthwise_chw16", depthwise, isa, features, FLOAT32, "chw16 linear linear -> chw16") \
  ROW("direct_chw16", blocked, isa, features, FLOAT32, "chw16 linear linear -> chw16")      \
  ROW("stem_chw16", stem, isa, features, FLOAT32, "linear linear linear -> chw16")          \
  ROW("rows", rows, isa, features, FLOATS, "linear")                                        \
  ROW("gemm", gemm, isa, features, FLOATS, "linear")

// clang-format off
constexpr Row<DeconvolutionParams> kRows[] = {
#if defined(__x86_64__)
    INT8_ROW(avx512vnni, kAvx512Vnni)
    INT8_ROW(avx512, kAvx512)
    FLOAT_ROWS(avx512, kAvx512)
    INT8_ROW(avx2, kAvx2)
    FLOAT_ROWS(avx2, kAvx2)
#endif
    INT8_ROW(scalar, 0)
    FLOAT_ROWS(scalar, 0)
};
// clang-format on

}  // namespace

DOVETAIL_IMPLEMENTS("Deconvolution@1#cpu", DeconvolutionParams, kRows)
