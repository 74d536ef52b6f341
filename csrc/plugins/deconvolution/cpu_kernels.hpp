// SPDX-License-Identifier: Apache-2.0
// The kernels of Deconvolution; what they mean by items, tiles and panels stands in dovetail/simd/convolve_*.hpp.
#ifndef DOVETAIL_PLUGINS_DECONVOLUTION_CPU_KERNELS_HPP
#define DOVETAIL_PLUGINS_DECONVOLUTION_CPU_KERNELS_HPP

#include "dovetail/simd/convolve_args.hpp"

namespace avx512vnni {
using avx512::kConvolvePanel;
using avx512::kConvolveTile;
void deconvolution_int8(const ConvolveArgs& args, int64_t first, int64_t last, int64_t first_panel, int64_t last_panel,
                        void* scratch);
}  // namespace avx512vnni
namespace avx512 {
void deconvolution_gemm(const ConvolveArgs& args, int64_t first, int64_t last, int64_t first_panel, int64_t last_panel,
                        void* scratch);
void deconvolution_int8(const ConvolveArgs& args, int64_t first, int64_t last, int64_t first_panel, int64_t last_panel,
                        void* scratch);
void deconvolution_rows(const ConvolveArgs& args, int64_t first, int64_t last);
void deconvolution_blocked(const ConvolveArgs& args, int64_t first, int64_t last);
int64_t deconvolution_blocked_items(const ConvolveArgs& args);
void deconvolution_depthwise(const ConvolveArgs& args, int64_t first, int64_t last);
}  // namespace avx512
namespace avx2 {
void deconvolution_gemm(const ConvolveArgs& args, int64_t first, int64_t last, int64_t first_panel, int64_t last_panel,
                        void* scratch);
void deconvolution_int8(const ConvolveArgs& args, int64_t first, int64_t last, int64_t first_panel, int64_t last_panel,
                        void* scratch);
void deconvolution_rows(const ConvolveArgs& args, int64_t first, int64_t last);
void deconvolution_blocked(const ConvolveArgs& args, int64_t first, int64_t last);
int64_t deconvolution_blocked_items(const ConvolveArgs& args);
void deconvolution_depthwise(const ConvolveArgs& args, int64_t first, int64_t last);
}  // namespace avx2
namespace scalar {
void deconvolution_gemm(const ConvolveArgs& args, int64_t first, int64_t last, int64_t first_panel, int64_t last_panel,
                        void* scratch);
void deconvolution_int8(const ConvolveArgs& args, int64_t first, int64_t last, int64_t first_panel, int64_t last_panel,
                        void* scratch);
void deconvolution_rows(const ConvolveArgs& args, int64_t first, int64_t last);
void deconvolution_blocked(const ConvolveArgs& args, int64_t first, int64_t last);
int64_t deconvolution_blocked_items(const ConvolveArgs& args);
void deconvolution_depthwise(const ConvolveArgs& args, int64_t first, int64_t last);
}  // namespace scalar

#endif
