// SPDX-License-Identifier: Apache-2.0
// LSTM@1#cuda: the kernels are those of all recurrent layers.
#include "kernels/recurrent/cuda_rows.hpp"

using namespace dovetail;

namespace {

constexpr Row<LstmParams> kRows[] = DOVETAIL_CUDA_RECURRENT_ROWS(LstmParams, kLstmTypes);

}  // namespace

DOVETAIL_IMPLEMENTS("LSTM@1#cuda", LstmParams, kRows)
