// SPDX-License-Identifier: Apache-2.0
// Scale@1#cpu: tactics, best first.
#include "cpu_kernels.hpp"
#include "kernels/pointwise/epilogue.hpp"
#include "rows.hpp"

using namespace dovetail;

namespace {

uint64_t workspace(const ScaleParams& params, const Descs& inputs, const Descs&, int) {
  const ParameterLayout layout = layout_of(params, inputs[kX]);
  return parameter_bytes(layout, inputs, kScale) + parameter_bytes(layout, inputs, kShift) +
         parameter_bytes(layout, inputs, kPower);
}

struct ScaleState {
  ParameterLayout layout;
  ScaleArgs args = {};
  Pieces pieces;
  int64_t element_bytes = 0;
  PointwiseEpilogue epilogue = {};
  bool is_copied[4] = {};  // per input: is the parameter read through a copy?
};

ScaleState plan(const ScaleParams& params, const Descs& inputs, const Descs& outputs, const RunSetup& setup) {
  const Desc x = inputs[kX];
  ScaleState state;
  state.layout = layout_of(params, x);
  for (int i = kScale; i <= kPower; ++i)
    state.is_copied[i] = inputs.has(i) && needs_copy(state.layout, static_cast<int32_t>(inputs[i].type()));
  state.args.type = static_cast<int32_t>(x.type());
  state.args.groups = state.layout.groups;
  state.args.inner = state.layout.inner;
  state.args.lanes = state.layout.lanes;
  state.epilogue = planned_pointwise(setup.epilogue(), outputs[0]);
  const double work = (inputs.has(kPower) ? 40 : 8) + cost_of(state.epilogue);
  state.pieces = cut(state.layout.view.stored(), work, 64, setup.n_threads());
  state.element_bytes = size_of(x.type());
  return state;
}

const float* parameter(const ScaleState& state, const Run& run, int input, float padding, float** scratch) {
  if (!run.has_input(input)) return nullptr;
  if (!state.is_copied[input]) return run.input(input).data<const float>();
  return parameters(run, input, state.layout, padding, scratch);
}

template <void (*kernel)(const ScaleArgs&, int64_t, int64_t), PointwiseFinish finish>
void enqueue(const ScaleParams&, ScaleState& state, const Run& run) {
  ScaleArgs& args = state.args;
  float* scratch = run.workspace<float>();
  args.x = run.input(kX).data<void>();
  args.y = run.output(0).data<void>();
  args.scale = parameter(state, run, kScale, 1.0f, &scratch);
  args.shift = parameter(state, run, kShift, 0.0f, &scratch);
  args.power = parameter(state, run, kPower, 1.0f, &scratch);
  set_operands(run, &state.epilogue.program);
  run_pointwise(run, state.pieces, state.epilogue, args.y, finish,
                [&](int64_t first, int64_t last) { kernel(args, first, last); });
  zero_padding(state.layout.view, args.y, state.element_bytes);
}

#define SCALE_ROW(isa, features, format)                    \
  {.tactic = format "_" #isa,                               \
   .needs = features,                                       \
   .types = kScaleTypes,                                    \
   .formats = format " linear linear linear -> " format,    \
   .fits = fits_scale,                                      \
   .workspace = workspace,                                  \
   .enqueue = enqueue<isa::scale, isa::pointwise_epilogue>, \
   .traits = kInPlace,                                      \
   .absorb = absorb_pointwise<ScaleParams>,                 \
   .plan = plan},

constexpr Row<ScaleParams, ScaleState> kRows[] = {DOVETAIL_EACH_ISA_WITH(DOVETAIL_EACH_FORMAT_OF, SCALE_ROW)};

}  // namespace

DOVETAIL_IMPLEMENTS("Scale@1#cpu", ScaleParams, kRows)
