// SPDX-License-Identifier: Apache-2.0
// Select@1#cpu: tactics, best first.
#include "cpu_kernels.hpp"
#include "rows.hpp"

using namespace dovetail;

namespace {

typedef BroadcastState<SelectArgs> SelectState;

SelectState plan(const SelectParams&, const Descs& inputs, const Descs& outputs, const RunSetup& setup) {
  SelectState state;
  state.args.element_bytes = size_of(outputs[0].type());
  set_broadcast<3>(&state.args, {inputs[0], inputs[1], inputs[2]});
  state.divide(outputs[0], static_cast<double>(3 * state.args.element_bytes + 1), setup.n_threads(), setup.epilogue());
  return state;
}

template <void (*kernel)(const SelectArgs&, int64_t, int64_t, int64_t, int64_t), PointwiseFinish finish>
void enqueue(const SelectParams&, SelectState& state, const Run& run) {
  state.args.condition = run.input(0).data<const uint8_t>();
  state.args.a = run.input(1).data<void>();
  state.args.b = run.input(2).data<void>();
  state.args.y = run.output(0).data<void>();
  state.run(run, kernel, finish);
}

#define SELECT_ROW(isa, features, format)                    \
  {.tactic = format "_" #isa,                                \
   .needs = features,                                        \
   .types = kSelectTypes,                                    \
   .formats = format,                                        \
   .fits = fits_select,                                      \
   .enqueue = enqueue<isa::select, isa::pointwise_epilogue>, \
   .absorb = absorb_pointwise<SelectParams>,                 \
   .plan = plan},

constexpr Row<SelectParams, SelectState> kRows[] = {DOVETAIL_EACH_ISA_WITH(DOVETAIL_EACH_FORMAT_OF, SELECT_ROW)};

}  // namespace

DOVETAIL_IMPLEMENTS("Select@1#cpu", SelectParams, kRows)
