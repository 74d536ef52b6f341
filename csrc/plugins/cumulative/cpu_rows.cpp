// SPDX-License-Identifier: Apache-2.0
// Cumulative@1#cpu: tactics, best first.
#include "rows.hpp"

using namespace dovetail;

namespace {

template <void (*kernel)(const CumulativeArgs&, int64_t, int64_t)>
void enqueue(const CumulativeParams& params, const Run& run) {
  const int64_t volume = run.output(0).volume();
  if (volume == 0) return;
  const CumulativeArgs args = cumulative_args(params, run);
  const int64_t items = args.outer * args.pieces();
  parallel_ranges(run, items, static_cast<double>(volume / items) * 4, 1,
                  [&](int64_t first, int64_t last) { kernel(args, first, last); });
}

#define CUMULATIVE_ROW(isa, features) \
  {.tactic = "linear_" #isa,          \
   .needs = features,                 \
   .types = kCumulativeTypes,         \
   .formats = "linear",               \
   .enqueue = enqueue<isa::cumulative>},

constexpr Row<CumulativeParams> kRows[] = {DOVETAIL_EACH_ISA(CUMULATIVE_ROW)};

}  // namespace

DOVETAIL_IMPLEMENTS("Cumulative@1#cpu", CumulativeParams, kRows)
