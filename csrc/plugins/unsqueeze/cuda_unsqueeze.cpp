// SPDX-License-Identifier: Apache-2.0
// Unsqueeze@1#cuda.
#include "kernels/copy/cuda_copies.hpp"
#include "kernels/copy/reshape_rows.hpp"
#include "unsqueeze.hpp"

using namespace dovetail;

namespace {

void enqueue(const UnsqueezeParams&, const Run& run) {
  copy_strided_on_gpu(run, reshaping_copy(run), run.input(0).data<void>(), run.output(0).data<void>());
}

constexpr Row<UnsqueezeParams> kRows[] = {
    {.tactic = "copy", .needs = kBuiltSm, .types = kReshapeTypes, .enqueue = enqueue, .traits = kCaptureSafe},
};

}  // namespace

DOVETAIL_IMPLEMENTS("Unsqueeze@1#cuda", UnsqueezeParams, kRows)
