// SPDX-License-Identifier: Apache-2.0
// Einsum@1#cpu: tactics, best first.
#include "kernels/gemm/cpu_rows.hpp"
#include "rows.hpp"

using namespace dovetail;

namespace {

constexpr Row<EinsumParams, GemmState> kRows[] = {DOVETAIL_GEMM_ROWS(EinsumParams, EinsumRule)};

}  // namespace

DOVETAIL_IMPLEMENTS("Einsum@1#cpu", EinsumParams, kRows)
