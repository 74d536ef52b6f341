// SPDX-License-Identifier: Apache-2.0
// Einsum@1#cpu: tactics, best first.
#include "kernels/gemm/cpu_rows.hpp"
#include "rows.hpp"

using namespace dovetail;

namespace {

// clang-format off
constexpr Row<EinsumParams> kRows[] = {
#if defined(__x86_64__)
    DOVETAIL_GEMM_ROWS(EinsumParams, EinsumRule, avx512, kAvx512)
    DOVETAIL_GEMM_ROWS(EinsumParams, EinsumRule, avx2, kAvx2)
#endif
    DOVETAIL_GEMM_ROWS(EinsumParams, EinsumRule, scalar, 0)
};
// clang-format on

}  // namespace

DOVETAIL_IMPLEMENTS("Einsum@1#cpu", EinsumParams, kRows)
