// SPDX-License-Identifier: Apache-2.0
// SoftMax@1#cpu: tactics, best first.
#include "kernels/reduce/strips.hpp"
#include "rows.hpp"

using namespace dovetail;

namespace {

struct SoftmaxState {
  SoftmaxArgs args = {};
  Pieces pieces;  // of the strips' items
};

SoftmaxState plan(const SoftmaxParams& params, const Descs& inputs, const Descs& outputs, const RunSetup& setup) {
  SoftmaxState state;
  state.args = softmax_args(params, inputs[0]);
  const int64_t volume = outputs[0].max_volume();
  if (volume == 0) return state;
  const int64_t items = DT_ISA::strip_items(state.args.over);
  state.pieces = cut(items, static_cast<double>(volume / items * 40), 1, setup.n_threads());
  return state;
}

template <void (*kernel)(const SoftmaxArgs&, int64_t, int64_t)>
void enqueue(const SoftmaxParams&, SoftmaxState& state, const Run& run) {
  state.args.x = run.input(0).data<void>();
  state.args.y = run.output(0).data<void>();
  run_pieces(run, state.pieces, [&](int64_t first, int64_t last) { kernel(state.args, first, last); });
}

#define SOFTMAX_ROW(isa, features)          \
  {.tactic = "linear_" #isa,                \
   .needs = features,                       \
   .types = "f32|f16|bf16 -> f32|f16|bf16", \
   .formats = "linear",                     \
   .enqueue = enqueue<isa::softmax>,        \
   .plan = plan},

constexpr Row<SoftmaxParams, SoftmaxState> kRows[] = {DOVETAIL_EACH_ISA(SOFTMAX_ROW)};

}  // namespace

DOVETAIL_IMPLEMENTS("SoftMax@1#cpu", SoftmaxParams, kRows)
