// SPDX-License-Identifier: Apache-2.0
// MatrixMultiply@1#cuda: tactics, best first.
#include "kernels/gemm/cuda_rows.hpp"
#include "rows.hpp"

using namespace dovetail;

namespace {

constexpr Row<MatrixMultiplyParams> kRows[] = {
    DOVETAIL_CUDA_GEMM_ROWS(MatrixMultiplyParams, MatrixRule)
        DT_CUDA_GEMM_ROW(MatrixMultiplyParams, MatrixRule, "exact", threads, kIntegerTypes)};

}  // namespace

DOVETAIL_IMPLEMENTS("MatrixMultiply@1#cuda", MatrixMultiplyParams, kRows)
