// SPDX-License-Identifier: Apache-2.0
// Squeeze@1#cpu.
#include "kernels/copy/reshape_rows.hpp"
#include "squeeze.hpp"

using namespace dovetail;

namespace {

void enqueue(const SqueezeParams&, const Run& run) {
  copy_strided(run, reshaping_copy(run), run.input(0).data<void>(), run.output(0).data<void>());
}

constexpr Row<SqueezeParams> kRows[] = {
    {.tactic = "copy", .types = kReshapeTypes, .enqueue = enqueue},
};

}  // namespace

DOVETAIL_IMPLEMENTS("Squeeze@1#cpu", SqueezeParams, kRows)
