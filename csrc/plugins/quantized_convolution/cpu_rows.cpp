// SPDX-License-Identifier: Apache-2.0
// QuantizedConvolution@1#cpu: tactics, best first.
#include "cpu_geometry.hpp"
#include "quantized_convolution.hpp"

using namespace dovetail;

namespace {

typedef QuantizedConvolutionParams Params;

constexpr QuantizedInputs kInputs = {Params::kXZero, -1, Params::kFactor, Params::kBias, Params::kYZero};

struct State {
  const QuantizedKernels* kernels = nullptr;
  QuantizedLimits limits = {};
  QuantizedPacked packed;
  KernelPlaces places = {};
  QuantizedArgs args = {};
  QuantizedDepthwise depthwise = {};
  QuantizedFill fill = {};
  std::vector<int64_t> offsets;
  bool fills = false, packs = false, is_depthwise = false, is_empty = true;
  int64_t depth = 0;                                                  // of a sum
  int64_t filled_at = 0, packed_at = 0, a_sums_at = 0, slots_at = 0;  // in the workspace
  Pieces filling, packing, summing;
  QuantizedPieces pieces;
};

QuantizedGeometry geometry(const Params& params, const Descs& inputs, const Descs& outputs, bool for_tiles) {
  return {params.fields(), inputs[Params::kX], inputs[Params::kKernel], outputs[0], for_tiles};
}

const char* fits(const Params& params, const Descs& inputs, const Descs& outputs) {
  if (params.kernel_size_nd.n != 2) return "windows of two dims";
  const QuantizedGeometry g = geometry(params, inputs, outputs, false);
  if (g.is_linear && g.lanes == 16)
    return "a row-major tensor of more than four channels, with groups or with dilation";
  if (!inputs.has(Params::kKernelZero)) return nullptr;
  if (!inputs[Params::kKernel].is_constant() || !inputs[Params::kKernelZero].is_constant())
    return "zero points of a kernel that are not known while building";
  if (g.w.groups > 1 && !g.is_depthwise) return "zero points of a kernel with groups";
  return nullptr;
}

const char* fits_tiles(const Params& params, const Descs& inputs, const Descs& outputs) {
  const char* const reason = fits(params, inputs, outputs);
  if (reason) return reason;
  return geometry(params, inputs, outputs, true).is_depthwise
             ? "a depthwise convolution has no columns to share its input"
             : nullptr;
}

QuantizedPacked packed_of(const QuantizedGeometry& g, const Descs& inputs) {
  return g.packed(inputs.has(Params::kKernelZero));
}

template <const QuantizedKernels& kernels>
void prepare(const Params& params, const Descs& inputs, const Descs& outputs, const Emit& emit) {
  const bool has_zeros = inputs.has(Params::kKernelZero);
  if (inputs[Params::kKernel].data<void>() == nullptr) return;
  if (has_zeros && inputs[Params::kKernelZero].data<void>() == nullptr) return;
  const QuantizedGeometry g = geometry(params, inputs, outputs, kernels.tiles != nullptr);
  const QuantizedPacked packed = packed_of(g, inputs);
  const KernelPlaces places = g.places();
  char* const to = emit.alloc<char>(static_cast<uint64_t>(packed.bytes()) + 1);
  packed.pack_panels(
      [&](int64_t group, int64_t column, int64_t entry, int64_t lane) { return places.at(group, column, entry, lane); },
      0, packed.groups * packed.panels(), to);
  if (has_zeros) {
    const Desc zero = inputs[Params::kKernelZero];
    packed.pack_zeros(
        [&](int64_t entry, int64_t lane) {
          return places.channel[static_cast<size_t>(entry * kQuantizedEntry + lane)] >= 0;
        },
        zero.data<uint8_t>(), zero.max_volume(), zero.type(), to);
  }
  emit.give(to, static_cast<uint64_t>(packed.bytes()));
}

int64_t packed_room(const Descs& inputs, const QuantizedPacked& packed) {
  return inputs[Params::kKernel].is_constant() ? 0 : packed.bytes();
}

// What a run takes from the workspace, one behind another; `slots` last.
struct Rooms {
  int64_t vectors, filled, packed, a_sums;
  Rooms(const QuantizedGeometry& g, const Descs& inputs, const QuantizedPacked& b)
      : vectors(QuantizedVectors{b.padded()}.bytes()),
        filled(g.filled_bytes(inputs[Params::kX].type())),
        packed(packed_room(inputs, b)),
        a_sums(a_sums_bytes(b, g.pixels_of_sums())) {}
  int64_t bytes() const { return vectors + filled + packed + a_sums; }
};

template <const QuantizedKernels& kernels>
uint64_t workspace(const Params& params, const Descs& inputs, const Descs& outputs, int n_threads) {
  const QuantizedGeometry g = geometry(params, inputs, outputs, kernels.tiles != nullptr);
  const QuantizedPacked packed = packed_of(g, inputs);
  const int64_t slot = tile_slot(kernels, g.out_height * g.out_width, packed.entries);
  return static_cast<uint64_t>(Rooms(g, inputs, packed).bytes() + slot * (n_threads > 1 ? n_threads : 1));
}

void set_input(const QuantizedGeometry& g, State* state) {
  QuantizedArgs& args = state->args;
  const int64_t row_bytes = (state->fills ? g.pixels : g.width) * g.lanes;
  const int64_t plane_bytes = state->fills ? g.plane() : g.height * row_bytes;
  args.a_image = g.blocks() * plane_bytes;
  args.a_group = g.blocks_of_group() * plane_bytes;
  args.a_row = g.f.stride[1] * row_bytes;
  args.a_pixel = g.f.stride[2] * g.lanes;
  args.is_direct = g.reads_in_place();
  state->offsets = g.offsets(plane_bytes, row_bytes);
  QuantizedFill& fill = state->fill;
  fill.is_blocked = !g.is_linear;
  fill.images = g.images;
  fill.channels = g.channels();
  fill.height = g.height;
  fill.width = g.width;
  fill.lanes = g.lanes;
  fill.top = g.top;
  fill.left = g.left;
  fill.rows = g.rows;
  fill.pixels = g.pixels;
}

void set_output(const QuantizedGeometry& g, int64_t pixels, State* state) {
  QuantizedArgs& args = state->args;
  args.images = g.images;
  args.groups = g.merges;
  args.columns = state->packed.columns;
  args.all_columns = g.w.groups * g.w.maps;
  args.entries = state->packed.entries;
  args.rows = g.out_height;
  args.pixels = args.last_pixels = g.out_width;
  if (g.is_joined) {
    args.pixels = pixels;
    args.rows = (g.out_width + pixels - 1) / pixels;
    args.last_pixels = g.out_width - (args.rows - 1) * pixels;
    args.a_row = pixels * args.a_pixel;
  }
  const int64_t plane = g.out_height * g.out_width * 16;
  args.is_blocked = true;
  args.y_pixel = 16;
  args.y_row = args.pixels * 16;
  args.y_panel = plane;
  args.y_image = (args.all_columns + 15) / 16 * plane;
}

// The rows of a depthwise convolution, which are as long as they are.
void set_depthwise(const QuantizedGeometry& g, State* state) {
  QuantizedDepthwise& args = state->depthwise;
  args.a_block = g.plane();
  args.row_step = g.f.dilation[1] * g.pixels * g.lanes;
  args.row_stride = g.f.stride[1] * g.pixels * g.lanes;
  args.stride = g.f.stride[2];
  args.entries = state->packed.entries;
  args.images = g.images;
  args.blocks = g.merges;
  args.height = g.out_height;
  args.width = g.out_width;
  args.window_rows = g.f.kernel[1];
  args.fours = g.fours();
  args.channels = g.channels();
}

// How the threads share the work. `per_row` are the items of a row of y.
void set_pieces(const QuantizedGeometry& g, int64_t per_row, const RunSetup& setup, State* state) {
  const double depth = static_cast<double>(state->packed.entries * kQuantizedEntry);
  const int64_t threads = setup.n_threads();
  state->filling = cut(g.images * g.blocks() * g.rows, static_cast<double>(g.pixels * g.lanes) / 8, 1, threads);
  state->packing = cut(state->packed.groups * state->packed.panels(), depth * 16, 1, threads);
  if (g.is_depthwise) {
    const int64_t sets = (g.out_height + kDepthwiseRows - 1) / kDepthwiseRows;
    const double work = static_cast<double>(kDepthwiseRows * g.out_width) * (depth + 16);
    state->pieces.pieces = cut(g.images * g.merges * sets, work, 1, threads);
    return;
  }
  QuantizedArgs& args = state->args;
  state->summing = cut(args.images * args.groups * args.rows, static_cast<double>(args.pixels) * depth, 1, threads);
  if (state->kernels->tiles) {
    const int64_t room = static_cast<int64_t>(setup.workspace_bytes()) - state->slots_at;
    state->pieces = cut_into_tiles(*state->kernels, threads, room, &args);
    return;
  }
  const double work = static_cast<double>(args.pixels * state->kernels->panels) * depth;
  state->pieces.pieces = cut(per_row * args.rows, work, 1, threads);
}

State plan(const QuantizedKernels& kernels, const Params& params, const Descs& inputs, const Descs& outputs,
           const RunSetup& setup) {
  const QuantizedGeometry g = geometry(params, inputs, outputs, kernels.tiles != nullptr);
  const DataType x_type = inputs[Params::kX].type();
  State state;
  state.kernels = &kernels;
  state.limits = {params.low, params.high};
  state.packed = packed_of(g, inputs);
  state.is_depthwise = g.is_depthwise;
  state.depth = g.w.channels * g.f.kernel[1] * g.f.kernel[2];
  if (outputs[0].max_volume() == 0) return state;
  state.is_empty = false;
  state.fills = !g.is_direct(x_type);
  state.packs = !inputs[Params::kKernel].is_constant();
  if (state.packs) state.places = g.places();
  if (!state.packs && setup.packed_bytes() != static_cast<uint64_t>(state.packed.bytes())) {
    fail(DT_PLAN_CORRUPT, "the packed kernel has %llu bytes, these extents need %lld",
         static_cast<unsigned long long>(setup.packed_bytes()), static_cast<long long>(state.packed.bytes()));
  }
  const Rooms rooms(g, inputs, state.packed);
  state.filled_at = rooms.vectors;
  state.packed_at = state.filled_at + rooms.filled;
  state.a_sums_at = state.packed_at + rooms.packed;
  state.slots_at = rooms.bytes();
  if (static_cast<int64_t>(setup.workspace_bytes()) < rooms.bytes()) {
    fail(DT_PLAN_CORRUPT, "a workspace of %llu bytes is too small",
         static_cast<unsigned long long>(setup.workspace_bytes()));
  }
  set_input(g, &state);
  const int64_t sets = (state.packed.panels() + kernels.panels - 1) / kernels.panels,
                per_row = g.images * g.merges * sets;
  int64_t pixels = kPixelsOfItem;  // fewer where there would be too few items for the threads
  while (pixels > 14 && per_row * ((g.out_width + pixels - 1) / pixels) < 4 * setup.n_threads()) pixels /= 2;
  set_output(g, pixels < g.out_width ? pixels : g.out_width, &state);
  if (g.is_depthwise) set_depthwise(g, &state);
  set_pieces(g, per_row, setup, &state);
  return state;
}

// What the addend makes of y.
void set_addend(const Params& params, const Run& run, QuantizedFinish* finish) {
  if (!run.has_input(Params::kAddend)) return;
  const QuantizedLimits limits = limits_of(run.output(0).type(), {params.sum_low, params.sum_high});
  finish->added = run.input(Params::kAddend).data<const uint8_t>();
  finish->by_own = static_cast<float>(params.by_own);
  finish->by_added = static_cast<float>(params.by_addend);
  finish->offset = static_cast<float>(-static_cast<double>(params.addend_zero) * params.by_addend);
  finish->sum_zero = static_cast<float>(params.sum_zero);
  finish->sum_low = static_cast<float>(limits.low - params.sum_zero);
  finish->sum_high = static_cast<float>(limits.high - params.sum_zero);
}

void enqueue(const Params& params, State& state, const Run& run) {
  if (state.is_empty) return;
  const Tensor x = run.input(Params::kX);
  const QuantizedKernels& kernels = *state.kernels;
  char* const workspace = run.workspace<char>();
  QuantizedArgs& args = state.args;
  args.a = x.data<const uint8_t>();
  if (state.fills) {
    QuantizedFill& fill = state.fill;
    fill.x = args.a;
    fill.to = reinterpret_cast<uint8_t*>(workspace + state.filled_at);
    fill.flip = x.type() == DataType::kINT8 ? 0x80 : 0;
    fill.zero = zero_of(run, Params::kXZero) ^ fill.flip;
    run_pieces(run, state.filling, [&](int64_t first, int64_t last) { kernels.fill(fill, first, last); });
    args.a = fill.to;
  }
  const char* packed = run.packed<char>();
  if (state.packs) {
    state.places.w.data = run.input(Params::kKernel).data<void>();
    char* const to = workspace + state.packed_at;
    run_pieces(run, state.packing, [&](int64_t first, int64_t last) {
      state.packed.pack_panels([&](int64_t group, int64_t column, int64_t entry,
                                   int64_t lane) { return state.places.at(group, column, entry, lane); },
                               first, last, to);
    });
    packed = to;
  }
  QuantizedFinish finish = finish_of(run, kInputs, state.limits, state.packed, packed, state.depth, workspace);
  set_addend(params, run, &finish);
  const int8_t* const b = reinterpret_cast<const int8_t*>(packed);
  const int8_t* const ones = b + state.packed.ones_at();
  if (state.is_depthwise) {
    QuantizedDepthwise& depthwise = state.depthwise;
    depthwise.a = args.a;
    depthwise.b = b;
    depthwise.ones = ones;
    depthwise.y = run.output(0).data<void>();
    depthwise.finish = finish;
    run_pieces(run, state.pieces.pieces,
               [&](int64_t first, int64_t last) { kernels.depthwise(depthwise, first, last); });
    return;
  }
  args.finish = finish;
  args.offsets = state.offsets.data();
  args.b = b;
  args.ones = ones;
  args.y = run.output(0).data<void>();
  args.a_sums = reinterpret_cast<int32_t*>(workspace + state.a_sums_at);
  if (finish.b_zeros) {
    run_pieces(run, state.summing, [&](int64_t first, int64_t last) { kernels.a_sums(args, first, last); });
  }
  run_sums(run, kernels, state.pieces, args, workspace + state.slots_at);
}

// A choice while it runs: to sanitizers, the address of a function is no constant.
template <const QuantizedKernels& kernels>
const char* fits_with(const Params& params, const Descs& inputs, const Descs& outputs) {
  return kernels.tiles ? fits_tiles(params, inputs, outputs) : fits(params, inputs, outputs);
}

template <const QuantizedKernels& kernels>
State plan_with(const Params& params, const Descs& inputs, const Descs& outputs, const RunSetup& setup) {
  return plan(kernels, params, inputs, outputs, setup);
}

#define TYPES_OF(y, bias, y_zero) \
  "i8|u8 i8|i8 " bias "|" bias " i8|u8 f32|f32 " y_zero "|" y_zero " i8|i8 " y_zero "|" y_zero " -> " y "|" y

#define ROW_OF(isa, features, y, bias, y_zero, format)                            \
  {.tactic = "dot_" #isa "_" y,                                                   \
   .needs = features,                                                             \
   .types = TYPES_OF(y, bias, y_zero),                                            \
   .formats = format " linear linear linear linear linear linear chw16 -> chw16", \
   .fits = fits_with<isa##_quantized>,                                            \
   .prepare = prepare<isa##_quantized>,                                           \
   .workspace = workspace<isa##_quantized>,                                       \
   .enqueue = enqueue,                                                            \
   .replaces = inputs_bits(Params::kKernel, Params::kKernelZero),                 \
   .plan = plan_with<isa##_quantized>},
#define ROWS_OF_TYPES(isa, features, format)        \
  ROW_OF(isa, features, "i32", "i32", "u8", format) \
  ROW_OF(isa, features, "f32", "f32", "u8", format) \
  ROW_OF(isa, features, "i8", "i32", "i8", format)  \
  ROW_OF(isa, features, "u8", "i32", "u8", format)
#define ROWS_OF(isa, features) ROWS_OF_TYPES(isa, features, "chw16") ROWS_OF_TYPES(isa, features, "linear")

constexpr Row<Params, State> kRows[] = {DOVETAIL_EACH_QUANTIZED_ISA(ROWS_OF)};

}  // namespace

DOVETAIL_IMPLEMENTS("QuantizedConvolution@1#cpu", Params, kRows)
