// SPDX-License-Identifier: Apache-2.0
// Unsqueeze@1#cpu.
#include "kernels/copy/reshape_rows.hpp"
#include "unsqueeze.hpp"

using namespace dovetail;

namespace {

void enqueue(const UnsqueezeParams&, const Run& run) {
  copy_strided(run, reshaping_copy(run), run.input(0).data<void>(), run.output(0).data<void>());
}

constexpr Row<UnsqueezeParams> kRows[] = {
    {.tactic = "copy", .types = kReshapeTypes, .enqueue = enqueue},
};

}  // namespace

DOVETAIL_IMPLEMENTS("Unsqueeze@1#cpu", UnsqueezeParams, kRows)
