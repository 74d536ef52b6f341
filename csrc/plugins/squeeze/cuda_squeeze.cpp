// SPDX-License-Identifier: Apache-2.0
// Squeeze@1#cuda.
#include "kernels/copy/cuda_copies.hpp"
#include "kernels/copy/reshape_rows.hpp"
#include "squeeze.hpp"

using namespace dovetail;

namespace {

void enqueue(const SqueezeParams&, const Run& run) {
  copy_strided_on_gpu(run, reshaping_copy(run), run.input(0).data<void>(), run.output(0).data<void>());
}

constexpr Row<SqueezeParams> kRows[] = {
    {.tactic = "copy", .needs = kBuiltSm, .types = kReshapeTypes, .enqueue = enqueue, .traits = kCaptureSafe},
};

}  // namespace

DOVETAIL_IMPLEMENTS("Squeeze@1#cuda", SqueezeParams, kRows)
