// SPDX-License-Identifier: Apache-2.0
// Padding@1#cpu.
#include "rows.hpp"

using namespace dovetail;

namespace {

const uint64_t kZero = 0;

uint64_t workspace(const PaddingParams&, const Descs&, const Descs& outputs, int) {
  return static_cast<uint64_t>(windowed::table_size(outputs[0].raw()->max, outputs[0].rank())) * sizeof(int64_t);
}

void enqueue(const PaddingParams& params, const Run& run) {
  const Window window = padded_window(params, run);
  const Tensor y = run.output(0);
  const uint64_t needed = static_cast<uint64_t>(windowed::table_size(y.dims(), y.rank())) * sizeof(int64_t);
  if (run.workspace_bytes() < needed) fail(DT_SHAPE, "the workspace is too small for the extents");
  copy_window(run, window, run.input(0).data<void>(), y.data<void>(), &kZero, run.workspace<int64_t>());
}

constexpr Row<PaddingParams> kRows[] = {
    {.tactic = "windowed", .types = kPaddingTypes, .workspace = workspace, .enqueue = enqueue},
};

}  // namespace

DOVETAIL_IMPLEMENTS("Padding@1#cpu", PaddingParams, kRows)
