// SPDX-License-Identifier: Apache-2.0
// Unary@1#cpu: tactics, best first.
#include "cpu_kernels.hpp"
#include "kernels/layout/format.hpp"
#include "kernels/pointwise/epilogue.hpp"
#include "rows.hpp"

using namespace dovetail;

namespace {

// Operations an element, for cutting the work among threads.
int64_t cost(int32_t kind) {
  const bool is_cheap = kind == kRecip || kind == kAbs || kind == kNeg || kind == kCeil || kind == kFloor ||
                        kind == kNot || kind == kSign || kind == kRound || kind == kIsinf || kind == kIsnan;
  return is_cheap ? 8 : 40;
}

struct UnaryState {
  UnaryArgs args = {};
  FormatView view;
  Pieces pieces;
  int64_t element_bytes = 0;
  PointwiseEpilogue epilogue = {};
};

UnaryState plan(const UnaryParams& params, const Descs& inputs, const Descs& outputs, const RunSetup& setup) {
  UnaryState state;
  state.args = {nullptr, nullptr, static_cast<int32_t>(inputs[0].type()), params.op};
  state.view = view_of(inputs[0]);
  state.epilogue = planned_pointwise(setup.epilogue(), outputs[0]);
  const double work = static_cast<double>(cost(params.op)) + cost_of(state.epilogue);
  state.pieces = cut(state.view.stored(), work, 64, setup.n_threads());
  state.element_bytes = size_of(outputs[0].type());
  return state;
}

template <void (*kernel)(const UnaryArgs&, int64_t, int64_t), PointwiseFinish finish>
void enqueue(const UnaryParams&, UnaryState& state, const Run& run) {
  state.args.x = run.input(0).data<void>();
  state.args.y = run.output(0).data<void>();
  set_operands(run, &state.epilogue.program);
  run_pointwise(run, state.pieces, state.epilogue, state.args.y, finish,
                [&](int64_t first, int64_t last) { kernel(state.args, first, last); });
  zero_padding(state.view, state.args.y, state.element_bytes);
}

#define UNARY_ROWS(isa, features, format)                       \
  {.tactic = format "_" #isa,                                   \
   .needs = features,                                           \
   .types = kUnaryFloats,                                       \
   .formats = format " -> " format,                             \
   .fits = fits_unary,                                          \
   .enqueue = enqueue<isa::unary, isa::pointwise_epilogue>,     \
   .traits = kInPlace,                                          \
   .absorb = absorb_pointwise<UnaryParams>,                     \
   .plan = plan},                                               \
      {.tactic = format "_integer_" #isa,                       \
       .needs = features,                                       \
       .types = kUnaryIntegers,                                 \
       .formats = format " -> " format,                         \
       .fits = fits_unary,                                      \
       .enqueue = enqueue<isa::unary, isa::pointwise_epilogue>, \
       .traits = kInPlace,                                      \
       .plan = plan},                                           \
      {.tactic = format "_bool_" #isa,                          \
       .needs = features,                                       \
       .types = kUnaryQuestions,                                \
       .formats = format " -> " format,                         \
       .fits = fits_unary,                                      \
       .enqueue = enqueue<isa::unary, isa::pointwise_epilogue>, \
       .plan = plan},

constexpr Row<UnaryParams, UnaryState> kRows[] = {DOVETAIL_EACH_ISA_WITH(DOVETAIL_EACH_FORMAT_OF, UNARY_ROWS)};

}  // namespace

DOVETAIL_IMPLEMENTS("Unary@1#cpu", UnaryParams, kRows)
