// SPDX-License-Identifier: Apache-2.0
// RNN@1#cuda: the kernels are those of all recurrent layers.
#include "kernels/recurrent/cuda_rows.hpp"

using namespace dovetail;

namespace {

constexpr Row<RnnParams> kRows[] = DOVETAIL_CUDA_RECURRENT_ROWS(RnnParams, kRecurrentTypes);

}  // namespace

DOVETAIL_IMPLEMENTS("RNN@1#cuda", RnnParams, kRows)
