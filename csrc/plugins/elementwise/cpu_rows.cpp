// SPDX-License-Identifier: Apache-2.0
// Elementwise@1#cpu: tactics, best first.
#include "cpu_kernels.hpp"
#include "rows.hpp"

using namespace dovetail;

namespace {

typedef BroadcastState<ElementwiseArgs> ElementwiseState;

ElementwiseState plan(const ElementwiseParams& params, const Descs& inputs, const Descs& outputs,
                      const RunSetup& setup) {
  ElementwiseState state;
  state.args.kind = params.op;
  state.args.type = static_cast<int32_t>(inputs[0].type());
  set_broadcast<2>(&state.args, {inputs[0], inputs[1]});
  state.divide(outputs[0], params.op == kPow ? 100 : 12, setup.n_threads(), setup.epilogue());
  return state;
}

template <void (*kernel)(const ElementwiseArgs&, int64_t, int64_t, int64_t, int64_t), PointwiseFinish finish>
void enqueue(const ElementwiseParams&, ElementwiseState& state, const Run& run) {
  state.args.a = run.input(0).data<void>();
  state.args.b = run.input(1).data<void>();
  state.args.y = run.output(0).data<void>();
  state.run(run, kernel, finish);
}

#define ELEMENTWISE_ROW(isa, features, format)                        \
  {.tactic = format "_" #isa,                                         \
   .needs = features,                                                 \
   .types = kArithmeticTypes,                                         \
   .formats = format,                                                 \
   .fits = fits_elementwise,                                          \
   .enqueue = enqueue<isa::elementwise, isa::pointwise_epilogue>,     \
   .traits = kInPlace,                                                \
   .absorb = absorb_pointwise<ElementwiseParams>,                     \
   .plan = plan},                                                     \
      {.tactic = format "_bool_" #isa,                                \
       .needs = features,                                             \
       .types = kComparisonTypes,                                     \
       .formats = format,                                             \
       .fits = fits_elementwise,                                      \
       .enqueue = enqueue<isa::elementwise, isa::pointwise_epilogue>, \
       .plan = plan},

constexpr Row<ElementwiseParams, ElementwiseState> kRows[] = {
    DOVETAIL_EACH_ISA_WITH(DOVETAIL_EACH_FORMAT_OF, ELEMENTWISE_ROW)};

}  // namespace

DOVETAIL_IMPLEMENTS("ElementWise@1#cpu", ElementwiseParams, kRows)
