// SPDX-License-Identifier: Apache-2.0
// MatrixMultiply@1#cpu: tactics, best first.
#include "kernels/gemm/cpu_rows.hpp"
#include "rows.hpp"

using namespace dovetail;

namespace {

constexpr Row<MatrixMultiplyParams, GemmState> kRows[] = {DOVETAIL_GEMM_ROWS(MatrixMultiplyParams, MatrixRule)};

}  // namespace

DOVETAIL_IMPLEMENTS("MatrixMultiply@1#cpu", MatrixMultiplyParams, kRows)
