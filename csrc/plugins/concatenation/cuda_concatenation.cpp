// SPDX-License-Identifier: Apache-2.0
// Concatenation@1#cuda: one copy for each input.
#include "kernels/copy/cuda_copies.hpp"
#include "rows.hpp"

using namespace dovetail;

namespace {

void enqueue(const ConcatenationParams& params, const Run& run) {
  void* y = run.output(0).data<void>();
  for_parts(params, run, [&](const StridedCopy& part, const void* x) { copy_strided_on_gpu(run, part, x, y); });
}

constexpr Row<ConcatenationParams> kRows[] = {
    {.tactic = "strided",
     .needs = kBuiltSm,
     .types = kConcatenationTypes,
     .formats = "linear... -> linear",
     .enqueue = enqueue,
     .traits = kCaptureSafe},
};

}  // namespace

DOVETAIL_IMPLEMENTS("Concatenation@1#cuda", ConcatenationParams, kRows)
