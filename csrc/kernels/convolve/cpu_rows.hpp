// SPDX-License-Identifier: Apache-2.0
// Rows of Convolution and Deconvolution, which differ only in the direction of the gather. For rows files.
#ifndef DOVETAIL_KERNELS_CONVOLVE_CPU_ROWS_HPP
#define DOVETAIL_KERNELS_CONVOLVE_CPU_ROWS_HPP

#include <vector>

#include "dovetail/epilogue.hpp"
#include "kernels/convolve/geometry.hpp"
#include "kernels/layout/shares.hpp"

DOVETAIL_OPEN_NAMESPACE

// The kernels of one instruction set.
struct ConvolveKernels {
  using Tiles = void (*)(const ConvolveArgs& args, int64_t first, int64_t last, int64_t first_panel, int64_t last_panel,
                         void* scratch);
  using Items = void (*)(const ConvolveArgs& args, int64_t first, int64_t last);
  Tiles gemm = nullptr, int8 = nullptr, bf16 = nullptr, amx = nullptr;
  Items rows = nullptr, blocked = nullptr, depthwise = nullptr, grouped = nullptr;
  int64_t (*blocked_items)(const ConvolveArgs& args) = nullptr;
  int64_t panel = 0, tile = 0;
};

#define DT_CONVOLVE_KERNELS(isa, needs)                                                            \
  inline constexpr ConvolveKernels isa##_convolve = {.gemm = isa::convolve_gemm,                   \
                                                     .int8 = isa::convolve_int8,                   \
                                                     .rows = isa::convolve_rows,                   \
                                                     .blocked = isa::convolve_blocked,             \
                                                     .depthwise = isa::convolve_depthwise,         \
                                                     .grouped = isa::convolve_grouped,             \
                                                     .blocked_items = isa::convolve_blocked_items, \
                                                     .panel = isa::kConvolvePanel,                 \
                                                     .tile = isa::kConvolveTile};
#if defined(__x86_64__)
inline constexpr ConvolveKernels amx_convolve = {.amx = amx::convolve_amx, .panel = 32, .tile = 16};
inline constexpr ConvolveKernels avx512bf16_convolve = {
    .bf16 = avx512bf16::convolve_bf16, .panel = avx512bf16::kConvolvePanel, .tile = avx512bf16::kConvolveTile};
inline constexpr ConvolveKernels avx512vnni_convolve = {
    .int8 = avx512vnni::convolve_int8, .panel = avx512vnni::kConvolvePanel, .tile = avx512vnni::kConvolveTile};
#endif
DOVETAIL_EACH_ISA(DT_CONVOLVE_KERNELS)
#undef DT_CONVOLVE_KERNELS

// gemm, int8 and bf16: linear. rows: linear, at most two maps a group. blocked: CHW16 to CHW16, gated: with factors of
// the channels; stem: linear to CHW16. amx and amx_stem: as blocked and stem, of bfloat16. depthwise and grouped: CHW16
// to CHW16, as many maps as channels: one a group, or 2, 4 or 8.
enum class ConvolveKind { gemm, int8, bf16, rows, blocked, gated, stem, amx, amx_stem, depthwise, grouped };

// The kernels for CHW16 end a sum after whole planes of taps; with more taps than these its rounding errors would show.
constexpr int64_t kMostBlockedTaps = 256, kMostDepthwiseTaps = 1024;
// First layers have few. With more, blocks of channels are never slower by more than times vary.
constexpr int64_t kMostStemChannels = 32;

// One gather with everything but its addresses, and how it is cut: by tiles or panels where kernels take both.
struct ConvolvePhase {
  ConvolveArgs args;
  int64_t weights_at;  // in the packed kernel
  int64_t tiles, panels;
  bool by_panels;
  int64_t items;
  double work;  // of an item
};

// What a row knows of a context with these extents.
struct ConvolveState {
  const ConvolveKernels* kernels = nullptr;
  ConvolveKind kind = ConvolveKind::gemm;
  ConvolveFields fields = {};
  RawWeights weights = {};
  std::vector<ConvolvePhase> phases;  // those with outputs
  double work = 0;                    // of all phases
  Pieces parts;                       // that work is cut into, wherever phases end: one piece for each thread
  int64_t grain = 0;                  // parts that a thread takes at least
  EpilogueProgram epilogue = {};
  // Where in the workspace the kernel and the bias are copied to, if they are; -1 if they are not. Tiles come behind.
  int64_t kernel_at = -1, bias_at = -1, tiles_at = 0;
  int64_t slot = 0;  // bytes of a piece's tile
  bool has_bias = false;
};

// The properties of a row, as values: templates for all of them would take minutes to compile.
class ConvolveRow {
 public:
  enum { kX, kKernel, kBias, kGate };
  ConvolveRow(const ConvolveKernels& kernels, ConvolveKind kind, const ConvolveFields& fields)
      : kernels_(kernels), kind_(kind), f_(fields) {}

  const char* fits(const Descs& inputs) const {
    const int64_t channels = inputs[kX].extent(-1 - f_.n_spatial), maps = f_.maps;
    const bool has_few_maps = maps <= 2 * f_.groups;
    if (kind_ == ConvolveKind::int8) return nullptr;
    if (kind_ == ConvolveKind::rows) return has_few_maps ? nullptr : "more than two maps a group";
    if (kind_ == ConvolveKind::gemm || kind_ == ConvolveKind::bf16)
      return has_few_maps ? "two maps a group or fewer" : nullptr;
    if (f_.n_spatial != 2) return "blocks of 16 channels are for two spatial dims";
    const double taps = static_cast<double>(f_.kernel[1]) * static_cast<double>(f_.kernel[2]);
    if (kind_ == ConvolveKind::amx_stem && (f_.is_transposed || f_.dilation[2] != 1))
      return "taps of a linear tensor that are not neighbours";
    if (!is_amx() && taps > static_cast<double>(is_by_rows() ? kMostDepthwiseTaps : kMostBlockedTaps)) {
      return "the kernel has too many elements for one float32 sum; the rows for linear tensors add in shorter blocks";
    }
    if (kind_ == ConvolveKind::depthwise) {
      return f_.groups == channels && f_.groups == maps ? nullptr : "not one channel and one map a group";
    }
    if (kind_ == ConvolveKind::gated) return gated_fits(inputs);
    if (kind_ == ConvolveKind::grouped) {
      const int64_t width = channels / f_.groups, of_maps = maps / f_.groups;
      const bool is_square = channels == maps && (width == 2 || width == 4 || width == 8);
      if (!is_square && (channels != f_.groups || (of_maps != 2 && of_maps != 4)))
        return "groups of other than 2, 4 or 8 channels and maps, or one channel and 2 or 4 maps";
      if (taps * static_cast<double>(width) <= static_cast<double>(kMostDepthwiseTaps)) return nullptr;
      return "the kernel has too many elements for one float32 sum; the rows for linear tensors add in shorter blocks";
    }
    if (is_stem() && f_.groups != 1) return "groups of a linear tensor";
    if (is_stem() && channels > kMostStemChannels)
      return "many channels of a linear tensor: next to their products a reformat costs little";
    if (f_.groups == 1) return nullptr;
    if (channels >= 0 && channels / f_.groups % 16 == 0 && maps / f_.groups % 16 == 0) return nullptr;
    return "groups are not whole blocks of 16 channels and maps";
  }

  int absorb(const Descs& outputs, const Epilogue& program) const {
    return outputs[0].rank() == f_.n_spatial + 2 ? absorbed(program, outputs[0]) : 0;
  }

  void prepare(const Descs& inputs, const Emit& emit) const {
    const Desc kernel = inputs[kKernel];
    if (kernel.data<void>() == nullptr) return;
    const RawWeights w = weights_of(kernel);
    const int64_t bytes = packed_bytes(w);
    char* packed = emit.alloc<char>(static_cast<uint64_t>(bytes > 0 ? bytes : 1));
    pack(w, packed);
    emit.give(packed, static_cast<uint64_t>(bytes));
  }

  uint64_t workspace(const Descs& inputs, int n_threads) const {
    const RawWeights w = weights_of(inputs[kKernel]);
    int64_t bytes = 0;
    if (!inputs[kKernel].is_constant()) bytes += packed_bytes(w);
    if (inputs.has(kBias) && inputs[kBias].type() != DataType::kFLOAT) bytes += rounded(w.groups * w.maps * 4);
    if (is_tiled()) bytes += (n_threads > 0 ? n_threads : 1) * slot_bytes(w);
    return static_cast<uint64_t>(bytes);
  }

  ConvolveState plan(const Descs& inputs, const Descs& outputs, const RunSetup& setup) const {
    const Desc x = inputs[kX], kernel = inputs[kKernel], y = outputs[0];
    ConvolveState state;
    state.kernels = &kernels_;
    state.kind = kind_;
    state.fields = f_;
    const RawWeights& w = state.weights = weights_of(kernel);
    if (y.max_volume() == 0) return state;
    state.epilogue = planned_epilogue(setup.epilogue(), y);
    place(inputs, setup, &state);
    ConvolvePhase phase = {};
    ConvolveArgs& args = phase.args;
    args.x_type = static_cast<int32_t>(x.type());
    args.y_type = static_cast<int32_t>(y.type());
    args.images = detail::volume(x.max(), x.rank() - f_.n_spatial - 1);
    args.groups = w.groups;
    args.channels = w.channels;
    args.maps = w.maps;
    args.panel = panel(w);
    args.scale = x.scale() * kernel.scale();
    args.x_is_linear = is_stem();
    args.is_gated = kind_ == ConvolveKind::gated;
    if (args.is_gated && inputs[kGate].max()[0] > 1) args.gate_image = args.channels;
    int64_t x_extents[3], y_extents[3], packed = 0;
    spatial_extents(x.max(), x.rank(), f_.n_spatial, x_extents);
    spatial_extents(y.max(), y.rank(), f_.n_spatial, y_extents);
    for (int64_t i = 0; i < convolve_phases(f_); ++i) {
      set_phase(f_, x_extents, y_extents, i, &args);
      phase.weights_at = packed;
      packed += form_bytes(w, args.axis);
      if (args.axis[0].count * args.axis[1].count * args.axis[2].count == 0) continue;
      count_items(setup.n_threads(), &phase);
      if (!state.phases.empty()) state.phases.back().args.is_followed = 1;
      state.phases.push_back(phase);
    }
    divide(static_cast<int64_t>(setup.workspace_bytes()) - state.tiles_at, setup.n_threads(), &state);
    if (state.kernel_at < 0 && static_cast<int64_t>(setup.packed_bytes()) < packed)
      fail(DT_PLAN_CORRUPT, "the packed kernel is too short");
    return state;
  }

  static void enqueue(ConvolveState& state, const Run& run) {
    if (state.phases.empty()) return;
    const void *x = run.input(kX).data<void>(), *packed = run.packed();
    void* const y = run.output(0).data<void>();
    char* const workspace = run.workspace<char>();
    if (state.kernel_at >= 0) {
      state.weights.data = run.input(kKernel).data<void>();
      const ConvolveRow row(*state.kernels, state.kind, state.fields);
      row.pack(state.weights, workspace + state.kernel_at);
      packed = workspace + state.kernel_at;
    }
    const float* const bias = bias_of(state, run);
    const float* const gate = state.kind == ConvolveKind::gated ? run.input(kGate).data<const float>() : nullptr;
    set_operands(run, &state.epilogue);
    for (ConvolvePhase& phase : state.phases) {
      phase.args.x = x;
      phase.args.y = y;
      phase.args.bias = bias;
      phase.args.gate = gate;
      phase.args.weights = static_cast<const char*>(packed) + phase.weights_at;
      phase.args.epilogue = state.epilogue.n_steps > 0 ? &state.epilogue : nullptr;
    }
    run_shares(run, state.parts, state.grain, [&](int32_t piece, int64_t first, int64_t last) {
      compute_parts(state, first, last, workspace + state.tiles_at + piece * state.slot);
    });
  }

 private:
  static int64_t rounded(int64_t bytes) { return (bytes + 63) / 64 * 64; }
  bool is_in_pairs() const { return kind_ == ConvolveKind::int8 || kind_ == ConvolveKind::bf16; }
  bool is_amx() const { return kind_ == ConvolveKind::amx || kind_ == ConvolveKind::amx_stem; }
  bool is_stem() const { return kind_ == ConvolveKind::stem || kind_ == ConvolveKind::amx_stem; }
  bool is_tiled() const { return kind_ == ConvolveKind::gemm || is_in_pairs() || is_amx(); }
  bool is_by_rows() const { return kind_ == ConvolveKind::depthwise || kind_ == ConvolveKind::grouped; }
  bool is_blocked() const {
    return kind_ == ConvolveKind::blocked || kind_ == ConvolveKind::gated || kind_ == ConvolveKind::stem;
  }
  const char* gated_fits(const Descs& inputs) const {
    if (f_.groups != 1) return "groups of gated channels";
    if (inputs[kX].rank() != f_.n_spatial + 2) return "more dims of the batch than one";
    for (int i = 1; i < 3; ++i) {
      const bool is_of_points = f_.kernel[i] == 1 && f_.stride[i] == 1 && f_.pre[i] == 0 && f_.post[i] == 0;
      if (!is_of_points) return "gated channels of another kernel than 1x1 that moves by one";
    }
    return nullptr;
  }
  int64_t panel(const RawWeights& w) const {
    if (is_amx()) return kernels_.panel;
    return kind_ == ConvolveKind::rows ? 1 : panel_of(w.maps, kernels_.panel);
  }
  RawWeights weights_of(const Desc& kernel) const {
    return raw_weights(f_, kernel.data<void>(), static_cast<int32_t>(kernel.type()), kernel.max(), kernel.rank());
  }
  int64_t slot_bytes(const RawWeights& w) const {
    const int64_t taps = w.extent[0] * w.extent[1] * w.extent[2];
    if (is_amx()) return amx_block(w) * amx_output_bytes(w);
    return rounded(taps * (is_in_pairs() ? (w.channels + 1) / 2 : w.channels) * 4 * kernels_.tile);
  }

  // Bytes of the copy of one output's inputs, of all taps; and how many outputs are copied at once: enough that
  // weights are read rarely, and few enough that the copy stays in a cache.
  int64_t amx_output_bytes(const RawWeights& w) const {
    return AmxForm{{w.extent[1], w.extent[2]}, w.channels, is_stem()}.chunks() * 64;
  }
  int64_t amx_block(const RawWeights& w) const {
    constexpr int64_t kRoom = 384 << 10, kLeast = 32, kMost = 512;
    const int64_t fit = kRoom / amx_output_bytes(w) / kLeast * kLeast;
    return fit < kLeast ? kLeast : fit > kMost ? kMost : fit;
  }

  const PackedForm& form() const {
    if (kind_ == ConvolveKind::int8) return kPairs;
    if (kind_ == ConvolveKind::bf16) return kBf16Pairs;
    if (is_by_rows()) return kGrouped;
    return is_blocked() ? kBlocks : kPanels;
  }
  AmxForm amx_form(const RawWeights& w, const ConvolveAxis* axis) const {
    return {{axis[1].taps, axis[2].taps}, w.channels, is_stem()};
  }
  int64_t form_bytes(const RawWeights& w, const ConvolveAxis* axis) const {
    if (is_amx()) return amx_form(w, axis).bytes(w);
    return rounded(form().bytes(w, n_taps(axis), panel(w)));
  }
  // Which taps belong to which phase depends on the padding modulo the stride, and that is the same for all extents:
  // the SAME modes of a transposed convolution do not look at them, and a convolution has one phase.
  template <class Body>
  void each_phase(const Body& body) const {
    ConvolveArgs args = {};
    const int64_t any[3] = {1, 1, 1};
    for (int64_t phase = 0; phase < convolve_phases(f_); ++phase) {
      set_phase(f_, any, any, phase, &args);
      body(args.axis);
    }
  }
  int64_t packed_bytes(const RawWeights& w) const {
    int64_t bytes = 0;
    each_phase([&](const ConvolveAxis* axis) { bytes += form_bytes(w, axis); });
    return bytes;
  }
  void pack(const RawWeights& w, char* to) const {
    each_phase([&](const ConvolveAxis* axis) {
      if (is_amx()) {
        amx_form(w, axis).fill(w, axis, to);
      } else {
        form().fill(w, axis, panel(w), to);
      }
      to += form_bytes(w, axis);
    });
  }

  // What is copied to the workspace, and where.
  void place(const Descs& inputs, const RunSetup& setup, ConvolveState* state) const {
    const RawWeights& w = state->weights;
    int64_t end = 0;
    if (setup.packed_bytes() == 0) {
      state->kernel_at = end;
      end += packed_bytes(w);
    }
    state->has_bias = inputs.has(kBias) && inputs[kBias].max_volume() > 0;
    if (state->has_bias && inputs[kBias].type() != DataType::kFLOAT) {
      state->bias_at = end;
      end += rounded(w.groups * w.maps * 4);
    }
    state->tiles_at = end;
    if (is_tiled()) state->slot = slot_bytes(w);
    if (end <= static_cast<int64_t>(setup.workspace_bytes())) return;
    fail(DT_PLAN_CORRUPT, "a workspace of %llu bytes ends too early",
         static_cast<unsigned long long>(setup.workspace_bytes()));
  }

  static const float* bias_of(const ConvolveState& state, const Run& run) {
    if (!state.has_bias) return nullptr;
    const Tensor bias = run.input(kBias);
    if (state.bias_at < 0) return bias.data<const float>();
    float* copy = reinterpret_cast<float*>(run.workspace<char>() + state.bias_at);
    const int32_t type = static_cast<int32_t>(bias.type());
    for (int64_t i = 0; i < bias.volume(); ++i) copy[i] = read_float(bias.data<void>(), type, i);
    return copy;
  }

  // What a phase is cut into, and the operations of each.
  void count_items(int n_threads, ConvolvePhase* phase) const {
    const ConvolveArgs& args = phase->args;
    ConvolveAxis* axis = phase->args.axis;
    const double cost = 2.0 * static_cast<double>(n_taps(axis) * args.channels + 1);  // of one output; 1 for the store
    const int64_t units = args.images * args.groups;
    if (is_amx()) {
      join_axes(axis);
      count_copies(n_threads, phase);
    } else if (is_tiled()) {
      count_tiles(n_threads, phase);
    } else if (is_blocked()) {
      join_axes(axis);
      phase->items = kernels_.blocked_items(args);
      const double outputs =
          static_cast<double>(units * args.maps) * static_cast<double>(axis[1].count * axis[2].count);
      phase->work = outputs * cost / static_cast<double>(phase->items > 0 ? phase->items : 1);
    } else if (is_by_rows()) {
      phase->items = args.images * ((args.groups * args.maps + 15) / 16) * axis[1].count;
      phase->work = static_cast<double>(axis[2].count) * cost * 16;
    } else {
      phase->items = units * axis[0].count * axis[1].count;
      phase->work = static_cast<double>(axis[2].count * args.maps) * cost;
    }
  }

  // Each thread copies the inputs of blocks of outputs of its own, unless it is weights that are most of what is read: then
  // all threads copy all inputs, and share the panels.
  void count_copies(int n_threads, ConvolvePhase* phase) const {
    ConvolveArgs& args = phase->args;
    const RawWeights w = {nullptr, 0, args.groups, args.channels, args.maps, 0, 0, 0, {1, f_.kernel[1], f_.kernel[2]}};
    const int64_t outputs = args.axis[1].count * args.axis[2].count, units = args.images * args.groups;
    const int64_t most = amx_block(w), threads = n_threads > 1 ? n_threads : 1;
    phase->panels = (args.maps + args.panel - 1) / args.panel;
    phase->by_panels = threads > 1 && phase->panels >= threads && outputs * args.images * threads <= args.maps;
    int64_t blocks = (outputs + most - 1) / most;
    for (int64_t more = 0; more < threads && !phase->by_panels && units * blocks < 8 * threads; ++more) {
      if (units * blocks % threads == 0 || blocks * 16 >= outputs) break;
      ++blocks;
    }
    args.block = blocks > 0 ? ((outputs + blocks - 1) / blocks + 15) / 16 * 16 : 16;
    phase->tiles = units * ((outputs + args.block - 1) / args.block);
    phase->items = phase->by_panels ? phase->panels : phase->tiles;
    const double products = static_cast<double>(units * outputs) * static_cast<double>(args.maps) *
                            static_cast<double>(n_taps(args.axis) * args.channels + 1);
    phase->work = products / 8 / static_cast<double>(phase->items > 0 ? phase->items : 1);
  }

  // Where tiles are fewer than threads, panels of weights are split instead.
  void count_tiles(int n_threads, ConvolvePhase* phase) const {
    const ConvolveArgs& args = phase->args;
    const int64_t outputs = args.axis[0].count * args.axis[1].count * args.axis[2].count;
    phase->tiles = args.images * args.groups * ((outputs + kernels_.tile - 1) / kernels_.tile);
    phase->panels = (args.maps + args.panel - 1) / args.panel;
    phase->by_panels = phase->tiles < n_threads && phase->panels > phase->tiles;
    phase->items = phase->by_panels ? phase->panels : phase->tiles;
    const double outputs_of_all = static_cast<double>(phase->tiles * kernels_.tile) * static_cast<double>(args.maps);
    const double work = outputs_of_all * static_cast<double>(n_taps(args.axis) * args.channels + 1);
    phase->work = work / static_cast<double>(phase->items > 0 ? phase->items : 1);
  }

  // Cuts all phases for the threads at once: they wait for each other once a run. `room` is what the workspace has for
  // tiles; each piece has scratch of its own.
  static void divide(int64_t room, int n_threads, ConvolveState* state) {
    int64_t items = 0;
    for (const ConvolvePhase& phase : state->phases) {
      items += phase.items;
      state->work += static_cast<double>(phase.items) * phase.work;
    }
    if (items == 0) return;
    const int64_t slots = state->slot > 0 ? room / state->slot : n_threads;
    if (slots < 1)
      fail(DT_PLAN_CORRUPT, "the workspace holds no tile of %lld bytes", static_cast<long long>(state->slot));
    constexpr int64_t kParts = 32;  // of a piece
    int64_t pieces = cut(items, state->work / static_cast<double>(items), 1, n_threads).count;
    if (pieces > slots) pieces = slots;
    state->parts = {pieces * kParts, kParts, static_cast<int32_t>(pieces)};
    state->grain = grain_of(state->parts, state->work / static_cast<double>(state->parts.n));
    if (state->kernels->amx && state->phases[0].by_panels) state->grain = kParts;  // each copies all inputs
  }

  // The first item of a phase that part `part` or a later one computes. done: work of the phases before.
  static int64_t first_item(const ConvolveState& state, const ConvolvePhase& phase, double done, int64_t part) {
    const double before = state.work * static_cast<double>(part) / static_cast<double>(state.parts.n);
    const double at = (before - done) / phase.work + 0.5;
    if (part == state.parts.n || at >= static_cast<double>(phase.items)) return phase.items;
    return at > 0 ? static_cast<int64_t>(at) : 0;
  }

  static void compute_parts(const ConvolveState& state, int64_t first_part, int64_t last_part, void* scratch) {
    double done = 0;
    for (const ConvolvePhase& phase : state.phases) {
      const int64_t first = first_item(state, phase, done, first_part);
      const int64_t last = first_item(state, phase, done, last_part);
      done += static_cast<double>(phase.items) * phase.work;
      if (first < last) compute(*state.kernels, state.kind, phase, first, last, scratch);
    }
  }

  static void compute(const ConvolveKernels& kernels, ConvolveKind kind, const ConvolvePhase& phase, int64_t first,
                      int64_t last, void* scratch) {
    const ConvolveKernels::Tiles tiles = kind == ConvolveKind::gemm   ? kernels.gemm
                                         : kind == ConvolveKind::int8 ? kernels.int8
                                         : kind == ConvolveKind::bf16 ? kernels.bf16
                                         : kernels.amx                ? kernels.amx
                                                                      : nullptr;
    if (tiles && phase.by_panels) return tiles(phase.args, 0, phase.tiles, first, last, scratch);
    if (tiles) return tiles(phase.args, first, last, 0, phase.panels, scratch);
    const ConvolveKernels::Items items = kind == ConvolveKind::rows        ? kernels.rows
                                         : kind == ConvolveKind::depthwise ? kernels.depthwise
                                         : kind == ConvolveKind::grouped   ? kernels.grouped
                                                                           : kernels.blocked;
    items(phase.args, first, last);
  }

  // A 1x1 kernel that moves by one sees an image as one long row.
  static void join_axes(ConvolveAxis* axis) {
    for (int i = 1; i < 3; ++i) {
      const ConvolveAxis& a = axis[i];
      if (a.taps != 1 || a.off_first != 0 || a.in_step != 1 || a.out_step != 1 || a.in != a.out || a.count != a.out)
        return;
    }
    const int64_t n = axis[1].in * axis[2].in;
    axis[1].in = axis[1].out = axis[1].count = 1;
    axis[2].in = axis[2].out = axis[2].count = n;
  }

  const ConvolveKernels& kernels_;
  const ConvolveKind kind_;
  const ConvolveFields f_;
};

// The functions of a row.
template <class Params, const ConvolveKernels& kernels, ConvolveKind kind>
struct ConvolveRowOf {
  static ConvolveRow row(const Params& params) { return {kernels, kind, params.fields()}; }
  static const char* fits(const Params& params, const Descs& inputs, const Descs&) { return row(params).fits(inputs); }
  static void prepare(const Params& params, const Descs& inputs, const Descs&, const Emit& emit) {
    row(params).prepare(inputs, emit);
  }
  static uint64_t workspace(const Params& params, const Descs& inputs, const Descs&, int n_threads) {
    return row(params).workspace(inputs, n_threads);
  }
  static int absorb(const Params& params, const Descs&, const Descs& outputs, const Epilogue& program) {
    return row(params).absorb(outputs, program);
  }
  static ConvolveState plan(const Params& params, const Descs& inputs, const Descs& outputs, const RunSetup& setup) {
    return row(params).plan(inputs, outputs, setup);
  }
  static void enqueue(const Params&, ConvolveState& state, const Run& run) { ConvolveRow::enqueue(state, run); }
};

DOVETAIL_CLOSE_NAMESPACE

// The rows of a layer. Weights and bias are float32 or of x's type.
#define DT_CONVOLVE_WEIGHTS "f32|f16|bf16|f32|f32"
#define DT_CONVOLVE_FLOATS \
  "f32|f16|bf16|f16|bf16 " DT_CONVOLVE_WEIGHTS " " DT_CONVOLVE_WEIGHTS " -> f32|f16|bf16|f16|bf16"
#define DT_CONVOLVE_FLOAT32 "f32 f32 f32 -> f32"
#define DT_CONVOLVE_BF16 "bf16|bf16 bf16|bf16 bf16|f32 -> bf16|bf16"
#define DT_CONVOLVE_ROW(Params, name, kind, isa, features, types_, formats_)          \
  {.tactic = name "_" #isa,                                                           \
   .needs = features,                                                                 \
   .types = types_,                                                                   \
   .formats = formats_,                                                               \
   .fits = ConvolveRowOf<Params, isa##_convolve, ConvolveKind::kind>::fits,           \
   .prepare = ConvolveRowOf<Params, isa##_convolve, ConvolveKind::kind>::prepare,     \
   .workspace = ConvolveRowOf<Params, isa##_convolve, ConvolveKind::kind>::workspace, \
   .enqueue = ConvolveRowOf<Params, isa##_convolve, ConvolveKind::kind>::enqueue,     \
   .absorb = ConvolveRowOf<Params, isa##_convolve, ConvolveKind::kind>::absorb,       \
   .replaces = inputs_bits(ConvolveRow::kKernel),                                     \
   .plan = ConvolveRowOf<Params, isa##_convolve, ConvolveKind::kind>::plan},
#define DT_CONVOLVE_INT8_ROW(isa, features, Params) \
  DT_CONVOLVE_ROW(Params, "int8", int8, isa, features, "i8 i8 f32 -> f32", "linear")
#define DT_CONVOLVE_ROWS(isa, features, Params)                                                                        \
  DT_CONVOLVE_INT8_ROW(isa, features, Params)                                                                          \
  DT_CONVOLVE_ROW(Params, "depthwise_chw16", depthwise, isa, features, DT_CONVOLVE_FLOAT32,                            \
                  "chw16 linear linear -> chw16")                                                                      \
  DT_CONVOLVE_ROW(Params, "grouped_chw16", grouped, isa, features, DT_CONVOLVE_FLOAT32,                                \
                  "chw16 linear linear -> chw16")                                                                      \
  DT_CONVOLVE_ROW(Params, "direct_chw16", blocked, isa, features, DT_CONVOLVE_FLOAT32, "chw16 linear linear -> chw16") \
  DT_CONVOLVE_ROW(Params, "stem_chw16", stem, isa, features, DT_CONVOLVE_FLOAT32, "linear linear linear -> chw16")     \
  DT_CONVOLVE_ROW(Params, "rows", rows, isa, features, DT_CONVOLVE_FLOATS, "linear")                                   \
  DT_CONVOLVE_ROW(Params, "gemm", gemm, isa, features, DT_CONVOLVE_FLOATS, "linear")
#if defined(__x86_64__)  // pairs of bfloat16 come last, as those of matrix products do
#define DT_CONVOLVE_VNNI_ROW(Params) DT_CONVOLVE_INT8_ROW(avx512vnni, kAvx512Vnni, Params)
#define DT_CONVOLVE_BF16_ROW(Params) \
  DT_CONVOLVE_ROW(Params, "gemm", bf16, avx512bf16, kAvx512Bf16, DT_CONVOLVE_BF16, "linear")
#define DT_CONVOLVE_AMX_ROWS(Params)                                                                            \
  DT_CONVOLVE_ROW(Params, "stem_chw16", amx_stem, amx, kAmx, DT_CONVOLVE_BF16, "linear linear linear -> chw16") \
  DT_CONVOLVE_ROW(Params, "direct_chw16", amx, amx, kAmx, DT_CONVOLVE_BF16, "chw16 linear linear -> chw16")
#else
#define DT_CONVOLVE_VNNI_ROW(Params)
#define DT_CONVOLVE_BF16_ROW(Params)
#define DT_CONVOLVE_AMX_ROWS(Params)
#endif
#define DOVETAIL_CONVOLVE_ROWS(Params) \
  DT_CONVOLVE_AMX_ROWS(Params)         \
  DT_CONVOLVE_VNNI_ROW(Params) DOVETAIL_EACH_ISA_WITH(DT_CONVOLVE_ROWS, Params) DT_CONVOLVE_BF16_ROW(Params)

#endif
