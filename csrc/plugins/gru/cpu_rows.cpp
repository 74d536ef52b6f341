// SPDX-License-Identifier: Apache-2.0
// GRU@1#cpu: tactics, best first.
#include "kernels/recurrent/cpu_rows.hpp"

using namespace dovetail;

namespace {

constexpr Row<GruParams> kRows[] = {DOVETAIL_RECURRENT_ROWS(GruParams, kRecurrentTypes)};

}  // namespace

DOVETAIL_IMPLEMENTS("GRU@1#cpu", GruParams, kRows)
