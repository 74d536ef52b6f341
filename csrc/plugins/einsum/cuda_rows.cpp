// SPDX-License-Identifier: Apache-2.0
// Einsum@1#cuda: tactics, best first.
#include "kernels/gemm/cuda_rows.hpp"
#include "rows.hpp"

using namespace dovetail;

namespace {

constexpr Row<EinsumParams> kRows[] = {DOVETAIL_CUDA_GEMM_ROWS(EinsumParams, EinsumRule)
                                           DT_CUDA_GEMM_ROW(EinsumParams, EinsumRule, "exact", threads, kIntegerTypes)};

}  // namespace

DOVETAIL_IMPLEMENTS("Einsum@1#cuda", EinsumParams, kRows)
