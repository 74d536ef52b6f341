// SPDX-License-Identifier: Apache-2.0
// Reduce@1#cpu: tactics, best first.
#include "rows.hpp"

using namespace dovetail;

namespace {

template <void (*kernel)(const ReduceArgs&, int64_t, int64_t)>
void enqueue(const ReduceParams& params, const Run& run) {
  const Tensor x = run.input(0), y = run.output(0);
  const ReduceArgs args = reduce_args(params, x, y);
  if (y.volume() == 0) return;
  const DT_ISA::Strips strips = DT_ISA::strips_of(args.over);
  const bool is_row = args.over.inner_is_reduced;
  const int64_t pieces = is_row ? 1 : (strips.inner.n + kReduceColumns - 1) / kReduceColumns;
  const int64_t width = is_row || strips.inner.n < kReduceColumns ? strips.inner.n : kReduceColumns;
  parallel_ranges(run, strips.items * pieces, strips.runs * (width + 16), 1,
                  [&](int64_t first, int64_t last) { kernel(args, first, last); });
}

#define REDUCE_ROW(isa, features) \
  {.tactic = "linear_" #isa,      \
   .needs = features,             \
   .types = kReduceTypes,         \
   .formats = "linear",           \
   .enqueue = enqueue<isa::reduce>},

constexpr Row<ReduceParams> kRows[] = {DOVETAIL_EACH_ISA(REDUCE_ROW)};

}  // namespace

DOVETAIL_IMPLEMENTS("Reduce@1#cpu", ReduceParams, kRows)
