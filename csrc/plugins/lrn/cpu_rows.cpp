// SPDX-License-Identifier: Apache-2.0
// LRN@1#cpu: tactics, best first.
#include "rows.hpp"

using namespace dovetail;

namespace {

template <void (*kernel)(const LrnArgs&, int64_t, int64_t)>
void enqueue(const LrnParams& params, const Run& run) {
  const Tensor x = run.input(0), y = run.output(0);
  const LrnArgs args = lrn_args(params, x, y);
  const int64_t volume = y.volume();
  if (volume == 0) return;
  const int64_t items = args.outer * ((args.inner + kLrnColumns - 1) / kLrnColumns);
  parallel_ranges(run, items, volume / items * 20, 1, [&](int64_t first, int64_t last) { kernel(args, first, last); });
}

#define LRN_ROW(isa, features)              \
  {.tactic = "linear_" #isa,                \
   .needs = features,                       \
   .types = "f32|f16|bf16 -> f32|f16|bf16", \
   .formats = "linear",                     \
   .enqueue = enqueue<isa::lrn>},

constexpr Row<LrnParams> kRows[] = {DOVETAIL_EACH_ISA(LRN_ROW)};

}  // namespace

DOVETAIL_IMPLEMENTS("LRN@1#cpu", LrnParams, kRows)
