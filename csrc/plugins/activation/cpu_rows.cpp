// SPDX-License-Identifier: Apache-2.0
// Activation@1#cpu: tactics, best first.
#include "activation.hpp"
#include "cpu_kernels.hpp"
#include "kernels/layout/format.hpp"
#include "kernels/pointwise/epilogue.hpp"

using namespace dovetail;

namespace {

// Operations an element, for cutting the work among threads.
int64_t cost(int32_t kind) {
  const bool is_exponential =
      kind == kSigmoid || kind == kTanh || kind == kElu || kind == kSelu || kind == kSoftplus || kind == kScaledTanh;
  return is_exponential ? 32 : 8;
}

struct ActivationState {
  ActivationArgs args = {};
  FormatView view;
  Pieces pieces;
  int64_t element_bytes = 0;
  PointwiseEpilogue epilogue = {};
};

ActivationState plan(const ActivationParams& params, const Descs& inputs, const Descs& outputs, const RunSetup& setup) {
  const Desc x = inputs[0];
  ActivationState state;
  state.view = view_of(x);
  state.args = {nullptr,
                nullptr,
                static_cast<int32_t>(x.type()),
                params.type,
                static_cast<float>(params.alpha),
                static_cast<float>(params.beta)};
  state.epilogue = planned_pointwise(setup.epilogue(), outputs[0]);
  const double work = static_cast<double>(cost(params.type)) + cost_of(state.epilogue);
  state.pieces = cut(state.view.stored(), work, 64, setup.n_threads());
  state.element_bytes = size_of(x.type());
  return state;
}

template <void (*kernel)(const ActivationArgs&, int64_t, int64_t), PointwiseFinish finish>
void enqueue(const ActivationParams&, ActivationState& state, const Run& run) {
  state.args.x = run.input(0).data<void>();
  state.args.y = run.output(0).data<void>();
  set_operands(run, &state.epilogue.program);
  run_pointwise(run, state.pieces, state.epilogue, state.args.y, finish,
                [&](int64_t first, int64_t last) { kernel(state.args, first, last); });
  zero_padding(state.view, state.args.y, state.element_bytes);
}

#define ACTIVATION_ROW(isa, features, format)                    \
  {.tactic = format "_" #isa,                                    \
   .needs = features,                                            \
   .types = "f32|f16|bf16 -> f32|f16|bf16",                      \
   .formats = format " -> " format,                              \
   .enqueue = enqueue<isa::activation, isa::pointwise_epilogue>, \
   .traits = kInPlace,                                           \
   .absorb = absorb_pointwise<ActivationParams>,                 \
   .plan = plan},

constexpr Row<ActivationParams, ActivationState> kRows[] = {
    DOVETAIL_EACH_ISA_WITH(DOVETAIL_EACH_FORMAT_OF, ACTIVATION_ROW)};

}  // namespace

DOVETAIL_IMPLEMENTS("Activation@1#cpu", ActivationParams, kRows)
