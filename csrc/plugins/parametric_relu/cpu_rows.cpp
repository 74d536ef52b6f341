// SPDX-License-Identifier: Apache-2.0
// ParametricReLU@1#cpu: tactics, best first.
#include "cpu_kernels.hpp"
#include "rows.hpp"

using namespace dovetail;

namespace {

typedef BroadcastState<PairArgs> ParametricReluState;

ParametricReluState plan(const ParametricReluParams&, const Descs& inputs, const Descs& outputs,
                         const RunSetup& setup) {
  ParametricReluState state;
  state.args.type = static_cast<int32_t>(inputs[0].type());
  set_broadcast<2>(&state.args, {inputs[0], inputs[1]});
  state.divide(outputs[0], 12, setup.n_threads(), setup.epilogue());
  return state;
}

template <void (*kernel)(const PairArgs&, int64_t, int64_t, int64_t, int64_t), PointwiseFinish finish>
void enqueue(const ParametricReluParams&, ParametricReluState& state, const Run& run) {
  state.args.a = run.input(0).data<void>();
  state.args.b = run.input(1).data<void>();
  state.args.y = run.output(0).data<void>();
  state.run(run, kernel, finish);
}

#define PARAMETRIC_RELU_ROW(isa, features, format)                    \
  {.tactic = format "_" #isa,                                         \
   .needs = features,                                                 \
   .types = kParametricReluTypes,                                     \
   .formats = format,                                                 \
   .fits = fits_parametric_relu,                                      \
   .enqueue = enqueue<isa::parametric_relu, isa::pointwise_epilogue>, \
   .traits = kInPlace,                                                \
   .absorb = absorb_pointwise<ParametricReluParams>,                  \
   .plan = plan},

constexpr Row<ParametricReluParams, ParametricReluState> kRows[] = {
    DOVETAIL_EACH_ISA_WITH(DOVETAIL_EACH_FORMAT_OF, PARAMETRIC_RELU_ROW)};

}  // namespace

DOVETAIL_IMPLEMENTS("ParametricReLU@1#cpu", ParametricReluParams, kRows)
