// SPDX-License-Identifier: Apache-2.0
// RNN@1#cpu: tactics, best first.
#include "kernels/recurrent/cpu_rows.hpp"

using namespace dovetail;

namespace {

constexpr Row<RnnParams> kRows[] = {DOVETAIL_RECURRENT_ROWS(RnnParams, kRecurrentTypes)};

}  // namespace

DOVETAIL_IMPLEMENTS("RNN@1#cpu", RnnParams, kRows)
