// SPDX-License-Identifier: Apache-2.0
// Reduce@1#cpu: tactics, best first.
#include "rows.hpp"

using namespace dovetail;

namespace {

struct ReduceState {
  ReduceArgs args = {};
  Pieces pieces;  // of the strips' items
};

ReduceState plan(const ReduceParams& params, const Descs& inputs, const Descs& outputs, const RunSetup& setup) {
  ReduceState state;
  state.args = reduce_args(params, inputs[0]);
  if (outputs[0].max_volume() == 0) return state;
  const DT_ISA::Strips strips = DT_ISA::strips_of(state.args.over);
  const bool is_row = state.args.over.inner_is_reduced;
  const int64_t columns = is_row ? 1 : (strips.inner.n + kReduceColumns - 1) / kReduceColumns;
  const int64_t width = is_row || strips.inner.n < kReduceColumns ? strips.inner.n : kReduceColumns;
  state.pieces = cut(strips.items * columns, static_cast<double>(strips.runs * (width + 16)), 1, setup.n_threads());
  return state;
}

template <void (*kernel)(const ReduceArgs&, int64_t, int64_t)>
void enqueue(const ReduceParams&, ReduceState& state, const Run& run) {
  state.args.x = run.input(0).data<void>();
  state.args.y = run.output(0).data<void>();
  run_pieces(run, state.pieces, [&](int64_t first, int64_t last) { kernel(state.args, first, last); });
}

#define REDUCE_ROW(isa, features)   \
  {.tactic = "linear_" #isa,        \
   .needs = features,               \
   .types = kReduceTypes,           \
   .formats = "linear",             \
   .enqueue = enqueue<isa::reduce>, \
   .plan = plan},

constexpr Row<ReduceParams, ReduceState> kRows[] = {DOVETAIL_EACH_ISA(REDUCE_ROW)};

}  // namespace

DOVETAIL_IMPLEMENTS("Reduce@1#cpu", ReduceParams, kRows)
