// SPDX-License-Identifier: Apache-2.0
// FullyConnected@1#cuda: tactics, best first.
#include "kernels/gemm/cuda_rows.hpp"
#include "rows.hpp"

using namespace dovetail;

namespace {

constexpr Row<FullyConnectedParams> kRows[] = {
    DOVETAIL_CUDA_GEMM_ROWS(FullyConnectedParams, ConnectedRule)
        DT_CUDA_GEMM_ROW(FullyConnectedParams, ConnectedRule, "exact", threads, kIntegerTypes)};

}  // namespace

DOVETAIL_IMPLEMENTS("FullyConnected@1#cuda", FullyConnectedParams, kRows)
