// SPDX-License-Identifier: Apache-2.0
// Concatenation@1#cpu.
#include "rows.hpp"

using namespace dovetail;

namespace {

void enqueue(const ConcatenationParams& params, const Run& run) {
  void* y = run.output(0).data<void>();
  for_parts(params, run, [&](const StridedCopy& part, const void* x) { copy_strided(run, part, x, y); });
}

constexpr Row<ConcatenationParams> kRows[] = {
    {.tactic = "strided", .types = kConcatenationTypes, .formats = "linear... -> linear", .enqueue = enqueue},
};

}  // namespace

DOVETAIL_IMPLEMENTS("Concatenation@1#cpu", ConcatenationParams, kRows)
