// SPDX-License-Identifier: Apache-2.0
// ExpandedDepthwise@1#cpu: tactics, best first.
#include "dovetail/epilogue.hpp"
#include "expanded_depthwise.hpp"
#include "kernels/convolve/geometry.hpp"
#include "kernels/layout/shares.hpp"

using namespace dovetail;

namespace {

typedef ExpandedDepthwiseParams Params;

struct Kernels {
  void (*run)(const ExpandedArgs& args, int64_t first, int64_t last, float* scratch);
  int64_t (*items)(const ExpandedArgs& args);
  int64_t (*floats)(const ExpandedArgs& args);
};

#define KERNELS(isa, needs)                                                                \
  constexpr Kernels isa##_kernels = {isa::convolve_expanded, isa::convolve_expanded_items, \
                                     isa::convolve_expanded_floats};
DOVETAIL_EACH_ISA(KERNELS)
#undef KERNELS

struct State {
  ExpandedArgs args = {};
  EpilogueProgram epilogue = {};
  Pieces pieces;
  int64_t grain = 0;
  int64_t expansion_bytes = 0;  // of the packed kernels; those of the depthwise convolution come behind
};

// Of the two kernels, which are packed one behind the other.
struct Weights {
  RawWeights expansion, depthwise;
  ConvolveAxis expansion_axis[3] = {}, axis[3] = {};
  int64_t expansion_bytes, bytes;

  Weights(const Params& params, const Descs& inputs) {
    ConvolveFields f = params.fields();
    ConvolveArgs any = {};
    const int64_t ones[3] = {1, 1, 1};
    set_phase(f, ones, ones, 0, &any);
    for (int i = 0; i < 3; ++i) axis[i] = any.axis[i];
    depthwise = of(f, inputs[Params::kKernel]);
    f.groups = 1;
    for (int i = 0; i < 3; ++i) f.kernel[i] = 1;
    set_phase(f, ones, ones, 0, &any);
    for (int i = 0; i < 3; ++i) expansion_axis[i] = any.axis[i];
    expansion = of(f, inputs[Params::kExpansion]);
    expansion_bytes = kBlocks.bytes(expansion, 1, 0);
    bytes = expansion_bytes + kGrouped.bytes(depthwise, n_taps(axis), 0);
  }
  static RawWeights of(const ConvolveFields& f, const Desc& kernel) {
    return raw_weights(f, kernel.data<void>(), static_cast<int32_t>(kernel.type()), kernel.max(), kernel.rank());
  }
};

const char* fits(const Params& params, const Descs& inputs, const Descs&) {
  constexpr double kMostTaps = 1024;  // with more, rounding errors of one float32 sum would show
  const ConvolveFields f = params.fields();
  if (f.n_spatial != 2) return "blocks of 16 channels are for two spatial dims";
  if (!inputs[Params::kKernel].is_constant() || !inputs[Params::kExpansion].is_constant())
    return "kernels that are not constant";
  const double taps = static_cast<double>(f.kernel[1]) * static_cast<double>(f.kernel[2]);
  return taps > kMostTaps ? "the kernel has too many elements for one float32 sum" : nullptr;
}

void prepare(const Params& params, const Descs& inputs, const Descs&, const Emit& emit) {
  if (inputs[Params::kKernel].data<void>() == nullptr || inputs[Params::kExpansion].data<void>() == nullptr) return;
  const Weights w(params, inputs);
  char* const packed = emit.alloc<char>(static_cast<uint64_t>(w.bytes));
  kBlocks.fill(w.expansion, w.expansion_axis, 0, packed);
  kGrouped.fill(w.depthwise, w.axis, 0, packed + w.expansion_bytes);
  emit.give(packed, static_cast<uint64_t>(w.bytes));
}

int absorb(const Params& params, const Descs&, const Descs& outputs, const Epilogue& program) {
  return outputs[0].rank() == params.fields().n_spatial + 2 ? absorbed(program, outputs[0]) : 0;
}

// The arguments without addresses, for the largest extents.
ExpandedArgs args_of(const Params& params, const Descs& inputs, const Descs& outputs, int n_threads) {
  const Desc x = inputs[Params::kX], y = outputs[0];
  const ConvolveFields f = params.fields();
  ExpandedArgs args = {};
  ConvolveArgs &d = args.depthwise, &e = args.expansion;
  int64_t x_extents[3], y_extents[3];
  spatial_extents(x.max(), x.rank(), f.n_spatial, x_extents);
  spatial_extents(y.max(), y.rank(), f.n_spatial, y_extents);
  set_phase(f, x_extents, y_extents, 0, &d);
  d.x_type = d.y_type = e.x_type = e.y_type = DT_TYPE_FLOAT;
  d.images = e.images = detail::volume(x.max(), x.rank() - f.n_spatial - 1);
  d.groups = f.maps;
  d.channels = d.maps = e.groups = 1;
  e.channels = x.max()[x.rank() - f.n_spatial - 1];
  e.maps = f.maps;
  const int64_t in[3] = {1, 1, x_extents[1] * x_extents[2]};
  for (int i = 0; i < 3; ++i) {
    ConvolveAxis& axis = e.axis[i];
    axis.in = axis.out = axis.count = in[i];
    axis.out_step = axis.in_step = axis.taps = axis.off_step = axis.tap_step = 1;
  }
  args.has_silu = params.silu;
  args.low = params.low <= -FLT_MAX ? -__builtin_inff() : static_cast<float>(params.low);
  args.high = params.high >= FLT_MAX ? __builtin_inff() : static_cast<float>(params.high);
  const int64_t rows = d.axis[1].count, most = rows / 4 > 0 ? rows / 4 : 1;  // rows at an edge of a part are made twice
  args.parts = n_threads < 1 ? 1 : n_threads < most ? n_threads : most;
  return args;
}

int64_t slot_floats(const ExpandedArgs& args, const Kernels& kernels) { return (kernels.floats(args) + 15) / 16 * 16; }

template <const Kernels& kernels>
uint64_t workspace(const Params& params, const Descs& inputs, const Descs& outputs, int n_threads) {
  const ExpandedArgs args = args_of(params, inputs, outputs, n_threads);
  return static_cast<uint64_t>((n_threads > 0 ? n_threads : 1) * slot_floats(args, kernels) * 4);
}

template <const Kernels& kernels>
State plan(const Params& params, const Descs& inputs, const Descs& outputs, const RunSetup& setup) {
  State state;
  if (outputs[0].max_volume() == 0) return state;
  state.args = args_of(params, inputs, outputs, setup.n_threads());
  state.epilogue = planned_epilogue(setup.epilogue(), outputs[0]);
  const ConvolveArgs& d = state.args.depthwise;
  const double taps = static_cast<double>(n_taps(d.axis)) + static_cast<double>(state.args.expansion.channels);
  const double cost = 2.0 * taps * static_cast<double>(d.axis[2].count) * 32;
  state.pieces = cut(kernels.items(state.args), cost, 1, setup.n_threads());
  state.grain = grain_of(state.pieces, cost);
  const Weights w(params, inputs);
  state.expansion_bytes = w.expansion_bytes;
  if (static_cast<int64_t>(setup.packed_bytes()) < w.bytes) fail(DT_PLAN_CORRUPT, "the packed kernels are too short");
  const int64_t slots = static_cast<int64_t>(setup.workspace_bytes()) / (slot_floats(state.args, kernels) * 4);
  if (slots < state.pieces.count) {
    fail(DT_PLAN_CORRUPT, "a workspace of %llu bytes ends too early",
         static_cast<unsigned long long>(setup.workspace_bytes()));
  }
  return state;
}

template <const Kernels& kernels>
void enqueue(const Params&, State& state, const Run& run) {
  if (state.pieces.n == 0) return;
  ConvolveArgs &d = state.args.depthwise, &e = state.args.expansion;
  const char* const packed = static_cast<const char*>(run.packed());
  set_operands(run, &state.epilogue);
  d.epilogue = state.epilogue.n_steps > 0 ? &state.epilogue : nullptr;
  d.y = run.output(0).data<void>();
  e.x = run.input(Params::kX).data<void>();
  e.weights = packed;
  d.weights = packed + state.expansion_bytes;
  d.bias = run.has_input(Params::kBias) ? run.input(Params::kBias).data<const float>() : nullptr;
  e.bias = run.has_input(Params::kExpansionBias) ? run.input(Params::kExpansionBias).data<const float>() : nullptr;
  float* const scratch = run.workspace<float>();
  const int64_t slot = slot_floats(state.args, kernels);
  run_shares(run, state.pieces, state.grain, [&](int32_t piece, int64_t first, int64_t last) {
    kernels.run(state.args, first, last, scratch + piece * slot);
  });
}

#define EXPANDED_ROW(isa, features)                              \
  {.tactic = "chw16_" #isa,                                      \
   .needs = features,                                            \
   .types = "f32 f32 f32 f32 f32 -> f32",                        \
   .formats = "chw16 linear linear linear linear -> chw16",      \
   .fits = fits,                                                 \
   .prepare = prepare,                                           \
   .workspace = workspace<isa##_kernels>,                        \
   .enqueue = enqueue<isa##_kernels>,                            \
   .absorb = absorb,                                             \
   .replaces = inputs_bits(Params::kKernel, Params::kExpansion), \
   .plan = plan<isa##_kernels>},

constexpr Row<Params, State> kRows[] = {DOVETAIL_EACH_ISA(EXPANDED_ROW)};

}  // namespace

DOVETAIL_IMPLEMENTS("ExpandedDepthwise@1#cpu", Params, kRows)
