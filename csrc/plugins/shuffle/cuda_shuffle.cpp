// SPDX-License-Identifier: Apache-2.0
// Shuffle@1#cuda.
#include "kernels/copy/cuda_copies.hpp"
#include "rows.hpp"

using namespace dovetail;

namespace {

void enqueue(const ShuffleParams& params, const Run& run) {
  const ShuffleCopies copies = shuffle_copies(params, run);
  const void* x = run.input(0).data<void>();
  void* y = run.output(0).data<void>();
  if (copies.is_one) return copy_strided_on_gpu(run, copies.first, x, y);
  copy_strided_on_gpu(run, copies.first, x, run.workspace());
  copy_strided_on_gpu(run, copies.second, run.workspace(), y);
}

constexpr Row<ShuffleParams> kRows[] = {
    {.tactic = "strided",
     .needs = kBuiltSm,
     .types = kReshapeTypes,
     .workspace = shuffle_workspace,
     .enqueue = enqueue,
     .traits = kCaptureSafe},
};

}  // namespace

DOVETAIL_IMPLEMENTS("Shuffle@1#cuda", ShuffleParams, kRows)
