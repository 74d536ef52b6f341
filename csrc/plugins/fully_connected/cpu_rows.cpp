// SPDX-License-Identifier: Apache-2.0
// FullyConnected@1#cpu: tactics, best first.
#include "kernels/gemm/cpu_rows.hpp"
#include "rows.hpp"

using namespace dovetail;

namespace {

// clang-format off
constexpr Row<FullyConnectedParams> kRows[] = {
#if defined(__x86_64__)
    DOVETAIL_GEMM_ROWS(FullyConnectedParams, ConnectedRule, avx512, kAvx512)
    DOVETAIL_GEMM_ROWS(FullyConnectedParams, ConnectedRule, avx2, kAvx2)
#endif
    DOVETAIL_GEMM_ROWS(FullyConnectedParams, ConnectedRule, scalar, 0)
};
// clang-format on

}  // namespace

DOVETAIL_IMPLEMENTS("FullyConnected@1#cpu", FullyConnectedParams, kRows)
