// SPDX-License-Identifier: Apache-2.0
// GRU@1#cuda: the kernels are those of all recurrent layers.
#include "kernels/recurrent/cuda_rows.hpp"

using namespace dovetail;

namespace {

constexpr Row<GruParams> kRows[] = DOVETAIL_CUDA_RECURRENT_ROWS(GruParams, kRecurrentTypes);

}  // namespace

DOVETAIL_IMPLEMENTS("GRU@1#cuda", GruParams, kRows)
