// SPDX-License-Identifier: Apache-2.0
// MatrixMultiply@1#cpu: tactics, best first.
#include "kernels/gemm/cpu_rows.hpp"
#include "rows.hpp"

using namespace dovetail;

namespace {

// clang-format off
constexpr Row<MatrixMultiplyParams> kRows[] = {
#if defined(__x86_64__)
    DOVETAIL_GEMM_ROWS(MatrixMultiplyParams, MatrixRule, avx512, kAvx512)
    DOVETAIL_GEMM_ROWS(MatrixMultiplyParams, MatrixRule, avx2, kAvx2)
#endif
    DOVETAIL_GEMM_ROWS(MatrixMultiplyParams, MatrixRule, scalar, 0)
};
// clang-format on

}  // namespace

DOVETAIL_IMPLEMENTS("MatrixMultiply@1#cpu", MatrixMultiplyParams, kRows)
