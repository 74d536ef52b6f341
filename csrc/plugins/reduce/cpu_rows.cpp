// SPDX-License-Identifier: Apache-2.0
// Reduce@1#cpu: tactics, best first.
#include "kernels/copy/blocked_dims.hpp"
#include "rows.hpp"

using namespace dovetail;

namespace {

struct ReduceState {
  ReduceArgs args = {};
  Pieces pieces;  // of the strips' items
};

// Over axes of a tensor in blocks of channels, of which whole ones are kept. The result is in the order of storage of
// both formats.
const char* fits_blocks(const ReduceParams& params, const Descs& inputs, const Descs&) {
  const Desc x = inputs[0];
  const int channel = x.rank() - traits_of(static_cast<int32_t>(x.format())).spatial - 1;
  if (params.keep_dims == 0) return "dims are left out";
  for (int i = 0; i < x.rank(); ++i) {
    if (has_axis(params.axes, i) != (i > channel)) return "not all axes behind the channels, or others";
  }
  return fits_whole_blocks(x);
}

ReduceArgs args_of(const ReduceParams& params, const Desc& x) {
  if (x.format() == TensorFormat::kLINEAR) return reduce_args(params, x);
  const BlockedDims blocked(static_cast<int32_t>(x.format()), x.max(), x.rank());
  return {nullptr, nullptr, static_cast<int32_t>(x.type()), params.op,
          DT_ISA::reduction_of(blocked.dims, blocked.rank, static_cast<uint64_t>(params.axes), nullptr)};
}

ReduceState plan(const ReduceParams& params, const Descs& inputs, const Descs& outputs, const RunSetup& setup) {
  ReduceState state;
  state.args = args_of(params, inputs[0]);
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

#define REDUCE_ROW(isa, features)         \
  {.tactic = "linear_" #isa,              \
   .needs = features,                     \
   .types = kReduceTypes,                 \
   .formats = "linear",                   \
   .enqueue = enqueue<isa::reduce>,       \
   .plan = plan},                         \
      {.tactic = "chw16_" #isa,           \
       .needs = features,                 \
       .types = kReduceTypes,             \
       .formats = "chw16 -> chw16",       \
       .fits = fits_blocks,               \
       .enqueue = enqueue<isa::reduce>,   \
       .plan = plan},                     \
      {.tactic = "chw16_to_linear_" #isa, \
       .needs = features,                 \
       .types = kReduceTypes,             \
       .formats = "chw16 -> linear",      \
       .fits = fits_blocks,               \
       .enqueue = enqueue<isa::reduce>,   \
       .plan = plan},

constexpr Row<ReduceParams, ReduceState> kRows[] = {DOVETAIL_EACH_ISA(REDUCE_ROW)};

}  // namespace

DOVETAIL_IMPLEMENTS("Reduce@1#cpu", ReduceParams, kRows)
