// SPDX-License-Identifier: Apache-2.0
// Padding@1#cuda.
#include "kernels/copy/cuda_copies.hpp"
#include "rows.hpp"

using namespace dovetail;

namespace {

const uint64_t kZero = 0;

void enqueue(const PaddingParams& params, const Run& run) {
  copy_window_on_gpu(run, padded_window(params, run), run.input(0).data<void>(), run.output(0).data<void>(), &kZero);
}

constexpr Row<PaddingParams> kRows[] = {
    {.tactic = "windowed", .needs = kBuiltSm, .types = kPaddingTypes, .enqueue = enqueue, .traits = kCaptureSafe},
};

}  // namespace

DOVETAIL_IMPLEMENTS("Padding@1#cuda", PaddingParams, kRows)
