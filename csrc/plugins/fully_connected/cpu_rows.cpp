// SPDX-License-Identifier: Apache-2.0
// FullyConnected@1#cpu: tactics, best first.
#include "kernels/gemm/cpu_rows.hpp"
#include "rows.hpp"

using namespace dovetail;

namespace {

constexpr Row<FullyConnectedParams, GemmState> kRows[] = {DOVETAIL_GEMM_ROWS(FullyConnectedParams, ConnectedRule)};

}  // namespace

DOVETAIL_IMPLEMENTS("FullyConnected@1#cpu", FullyConnectedParams, kRows)
