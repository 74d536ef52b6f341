// SPDX-License-Identifier: Apache-2.0
// LSTM@1#cpu: tactics, best first.
#include "kernels/recurrent/cpu_rows.hpp"

using namespace dovetail;

namespace {

constexpr Row<LstmParams> kRows[] = {DOVETAIL_RECURRENT_ROWS(LstmParams, kLstmTypes)};

}  // namespace

DOVETAIL_IMPLEMENTS("LSTM@1#cpu", LstmParams, kRows)
