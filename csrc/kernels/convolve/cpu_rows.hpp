// SPDX-License-Identifier: Apache-2.0
// Rows of Convolution and Deconvolution: the same for both but for the direction of the gather. For rows files.
#ifndef DOVETAIL_KERNELS_CONVOLVE_CPU_ROWS_HPP
#define DOVETAIL_KERNELS_CONVOLVE_CPU_ROWS_HPP

#include "dovetail/epilogue.hpp"
#include "kernels/convolve/geometry.hpp"

DOVETAIL_OPEN_NAMESPACE

// The kernels of one instruction set.
struct ConvolveKernels {
  using Tiles = void (*)(const ConvolveArgs& args, int64_t first, int64_t last, int64_t first_panel, int64_t last_panel,
                         void* scratch);
  using Items = void (*)(const ConvolveArgs& args, int64_t first, int64_t last);
  Tiles gemm = nullptr, int8 = nullptr, bf16 = nullptr;
  Items rows = nullptr, blocked = nullptr, depthwise = nullptr;
  int64_t (*blocked_items)(const ConvolveArgs& args) = nullptr;
  int64_t panel = 0, tile = 0;
};

#define DT_CONVOLVE_KERNELS(isa, needs)                                                            \
  inline constexpr ConvolveKernels isa##_convolve = {.gemm = isa::convolve_gemm,                   \
                                                     .int8 = isa::convolve_int8,                   \
                                                     .rows = isa::convolve_rows,                   \
                                                     .blocked = isa::convolve_blocked,             \
                                                     .depthwise = isa::convolve_depthwise,         \
                                                     .blocked_items = isa::convolve_blocked_items, \
                                                     .panel = isa::kConvolvePanel,                 \
                                                     .tile = isa::kConvolveTile};
#if defined(__x86_64__)
inline constexpr ConvolveKernels avx512bf16_convolve = {
    .bf16 = avx512bf16::convolve_bf16, .panel = avx512bf16::kConvolvePanel, .tile = avx512bf16::kConvolveTile};
inline constexpr ConvolveKernels avx512vnni_convolve = {
    .int8 = avx512vnni::convolve_int8, .panel = avx512vnni::kConvolvePanel, .tile = avx512vnni::kConvolveTile};
#endif
DOVETAIL_EACH_ISA(DT_CONVOLVE_KERNELS)
#undef DT_CONVOLVE_KERNELS

// gemm, int8 and bf16: linear. rows: linear, at most two maps a group. blocked: CHW16 to CHW16; stem: linear to CHW16.
enum class ConvolveKind { gemm, int8, bf16, rows, blocked, stem, depthwise };

// The kernels for CHW16 end a sum after whole planes of taps; with more taps than these its rounding errors would show.
constexpr int64_t kMostBlockedTaps = 256, kMostDepthwiseTaps = 1024;

// What a row does, told at run time: a template of all this for each row would take minutes to compile.
class ConvolveRow {
 public:
  enum { kX, kKernel, kBias };
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
    if (taps > static_cast<double>(kind_ == ConvolveKind::depthwise ? kMostDepthwiseTaps : kMostBlockedTaps)) {
      return "the kernel has too many elements for one float32 sum; the rows for linear tensors add in shorter blocks";
    }
    if (kind_ == ConvolveKind::depthwise) {
      return f_.groups == channels && f_.groups == maps ? nullptr : "not one channel and one map a group";
    }
    if (kind_ == ConvolveKind::stem && f_.groups != 1) return "groups of a linear tensor";
    if (f_.groups == 1) return nullptr;
    if (channels >= 0 && channels / f_.groups % 16 == 0 && maps / f_.groups % 16 == 0) return nullptr;
    return "groups are not whole blocks of 16 channels and maps";
  }

  // Outputs that lie side by side, as those of a convolution do.
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
    emit(packed, static_cast<uint64_t>(bytes));
  }

  uint64_t workspace(const Descs& inputs, int n_threads) const {
    const RawWeights w = weights_of(inputs[kKernel]);
    int64_t bytes = 0;
    if (!inputs[kKernel].is_constant()) bytes += packed_bytes(w);
    if (inputs.has(kBias) && inputs[kBias].type() != DataType::kFLOAT) bytes += rounded(w.groups * w.maps * 4);
    if (is_tiled()) bytes += (n_threads > 0 ? n_threads : 1) * slot_bytes(w);
    return static_cast<uint64_t>(bytes);
  }

  void enqueue(const Run& run) const {
    const Tensor x = run.input(kX), kernel = run.input(kKernel), y = run.output(0);
    const RawWeights w =
        raw_weights(f_, kernel.data<void>(), static_cast<int32_t>(kernel.type()), kernel.dims(), kernel.rank());
    if (y.volume() == 0) return;
    Scratch scratch = {run.workspace<char>(), run.workspace<char>() + run.workspace_bytes()};
    const char* packed = run.packed<char>();
    const char* end = packed + run.packed_bytes();
    if (packed == nullptr) {
      char* made = scratch.take(packed_bytes(w));
      pack(w, made);
      packed = made;
      end = scratch.next;
    }
    ConvolveArgs args = {};
    args.x = x.data<void>();
    args.y = y.data<void>();
    args.bias = bias_of(run, w, &scratch);
    args.x_type = static_cast<int32_t>(x.type());
    args.y_type = static_cast<int32_t>(y.type());
    args.images = x.volume(0, x.rank() - f_.n_spatial - 1);
    args.groups = w.groups;
    args.channels = w.channels;
    args.maps = w.maps;
    args.panel = panel(w);
    args.scale = x.scale() * kernel.scale();
    args.x_is_linear = kind_ == ConvolveKind::stem;
    const EpilogueProgram epilogue = epilogue_program(run);
    if (epilogue.n_steps > 0) args.epilogue = &epilogue;
    int64_t x_extents[3], y_extents[3];
    spatial_extents(x.dims(), x.rank(), f_.n_spatial, x_extents);
    spatial_extents(y.dims(), y.rank(), f_.n_spatial, y_extents);
    for (int64_t phase = 0; phase < convolve_phases(f_); ++phase) {
      set_phase(f_, x_extents, y_extents, phase, &args);
      const int64_t bytes = form_bytes(w, args.axis);
      if (end - packed < bytes) fail(DT_PLAN_CORRUPT, "the packed kernel is too short");
      args.weights = packed;
      packed += bytes;
      if (args.axis[0].count * args.axis[1].count * args.axis[2].count > 0) compute(run, args, w, scratch);
    }
  }

 private:
  struct Scratch {
    char *next, *end;
    char* take(int64_t bytes) {
      if (end - next < bytes) {
        fail(DT_PLAN_CORRUPT, "a workspace of %lld bytes ends too early", static_cast<long long>(end - next));
      }
      next += bytes;
      return next - bytes;
    }
  };

  static int64_t rounded(int64_t bytes) { return (bytes + 63) / 64 * 64; }
  bool is_in_pairs() const { return kind_ == ConvolveKind::int8 || kind_ == ConvolveKind::bf16; }
  bool is_tiled() const { return kind_ == ConvolveKind::gemm || is_in_pairs(); }
  bool is_blocked() const { return kind_ == ConvolveKind::blocked || kind_ == ConvolveKind::stem; }
  int64_t panel(const RawWeights& w) const {
    return kind_ == ConvolveKind::rows ? 1 : panel_of(w.maps, kernels_.panel);
  }
  RawWeights weights_of(const Desc& kernel) const {
    return raw_weights(f_, kernel.data<void>(), static_cast<int32_t>(kernel.type()), kernel.max(), kernel.rank());
  }
  int64_t slot_bytes(const RawWeights& w) const {
    const int64_t taps = w.extent[0] * w.extent[1] * w.extent[2];
    return rounded(taps * (is_in_pairs() ? (w.channels + 1) / 2 : w.channels) * 4 * kernels_.tile);
  }

  const PackedForm& form() const {
    if (kind_ == ConvolveKind::int8) return kPairs;
    if (kind_ == ConvolveKind::bf16) return kBf16Pairs;
    if (kind_ == ConvolveKind::depthwise) return kDepthwise;
    return is_blocked() ? kBlocks : kPanels;
  }
  int64_t form_bytes(const RawWeights& w, const ConvolveAxis* axis) const {
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
      form().fill(w, axis, panel(w), to);
      to += form_bytes(w, axis);
    });
  }

  static const float* bias_of(const Run& run, const RawWeights& w, Scratch* scratch) {
    if (!run.has_input(kBias)) return nullptr;
    const Tensor bias = run.input(kBias);
    if (bias.volume() == 0) return nullptr;
    if (bias.type() == DataType::kFLOAT) return bias.data<const float>();
    float* copy = reinterpret_cast<float*>(scratch->take(rounded(w.groups * w.maps * 4)));
    const int32_t type = static_cast<int32_t>(bias.type());
    for (int64_t i = 0; i < bias.volume(); ++i) copy[i] = read_float(bias.data<void>(), type, i);
    return copy;
  }

  void compute(const Run& run, ConvolveArgs& args, const RawWeights& w, const Scratch& scratch) const {
    if (is_tiled()) return compute_tiles(run, args, w, scratch);
    ConvolveAxis* axis = args.axis;
    const double cost = 2.0 * static_cast<double>(n_taps(axis) * args.channels + 1);  // of one output; 1 for the store
    const int64_t units = args.images * args.groups;
    if (is_blocked()) {
      join_axes(axis);
      const int64_t items = kernels_.blocked_items(args);
      const int64_t outputs = units * args.maps * axis[1].count * axis[2].count / (items > 0 ? items : 1);
      parallel_ranges(run, items, static_cast<double>(outputs) * cost, 1,
                      [&](int64_t first, int64_t last) { kernels_.blocked(args, first, last); });
    } else if (kind_ == ConvolveKind::depthwise) {
      parallel_ranges(run, args.images * ((args.groups + 15) / 16) * axis[1].count,
                      static_cast<double>(axis[2].count) * cost * 16, 1,
                      [&](int64_t first, int64_t last) { kernels_.depthwise(args, first, last); });
    } else {
      parallel_ranges(run, units * axis[0].count * axis[1].count, static_cast<double>(axis[2].count * args.maps) * cost,
                      1, [&](int64_t first, int64_t last) { kernels_.rows(args, first, last); });
    }
  }

  // Each piece has scratch of its own. Where tiles are fewer than threads, panels of weights are split instead.
  void compute_tiles(const Run& run, const ConvolveArgs& args, const RawWeights& w, const Scratch& scratch) const {
    const auto kernel = kind_ == ConvolveKind::int8   ? kernels_.int8
                        : kind_ == ConvolveKind::bf16 ? kernels_.bf16
                                                      : kernels_.gemm;
    const int64_t slot = slot_bytes(w), slots = slot > 0 ? (scratch.end - scratch.next) / slot : run.n_threads();
    const int64_t outputs = args.axis[0].count * args.axis[1].count * args.axis[2].count;
    const int64_t tiles = args.images * args.groups * ((outputs + kernels_.tile - 1) / kernels_.tile);
    const int64_t panels = (args.maps + args.panel - 1) / args.panel;
    const bool by_panels = tiles < run.n_threads() && panels > tiles;
    const int64_t n = by_panels ? panels : tiles;
    const double outputs_of_all = static_cast<double>(tiles * kernels_.tile) * static_cast<double>(args.maps);
    const double worth = outputs_of_all * static_cast<double>(n_taps(args.axis) * args.channels + 1) / 20000;
    int64_t pieces = worth < run.n_threads() ? static_cast<int64_t>(worth) : run.n_threads();
    if (pieces > slots) pieces = slots;
    if (pieces > n) pieces = n;
    if (pieces < 1) pieces = 1;
    if (slots < 1) fail(DT_PLAN_CORRUPT, "the workspace holds no tile of %lld bytes", static_cast<long long>(slot));
    run.parallel_for(pieces, [&](int32_t piece) {
      const int64_t first = n * piece / pieces, last = n * (piece + 1) / pieces;
      char* own = scratch.next + piece * slot;
      if (by_panels) {
        kernel(args, 0, tiles, first, last, own);
      } else {
        kernel(args, first, last, 0, panels, own);
      }
    });
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
  static constexpr decltype(Row<Params>::absorb) kAbsorb = Params::kAbsorbs ? absorb : nullptr;
  static void enqueue(const Params& params, const Run& run) { row(params).enqueue(run); }
};

DOVETAIL_CLOSE_NAMESPACE

// The rows of a layer. Weights and bias are float32 or of x's type.
#define DT_CONVOLVE_WEIGHTS "f32|f16|bf16|f32|f32"
#define DT_CONVOLVE_FLOATS \
  "f32|f16|bf16|f16|bf16 " DT_CONVOLVE_WEIGHTS " " DT_CONVOLVE_WEIGHTS " -> f32|f16|bf16|f16|bf16"
#define DT_CONVOLVE_FLOAT32 "f32 f32 f32 -> f32"
#define DT_CONVOLVE_ROW(Params, name, kind, isa, features, types_, formats_)          \
  {.tactic = name "_" #isa,                                                           \
   .needs = features,                                                                 \
   .types = types_,                                                                   \
   .formats = formats_,                                                               \
   .fits = ConvolveRowOf<Params, isa##_convolve, ConvolveKind::kind>::fits,           \
   .prepare = ConvolveRowOf<Params, isa##_convolve, ConvolveKind::kind>::prepare,     \
   .workspace = ConvolveRowOf<Params, isa##_convolve, ConvolveKind::kind>::workspace, \
   .enqueue = ConvolveRowOf<Params, isa##_convolve, ConvolveKind::kind>::enqueue,     \
   .absorb = ConvolveRowOf<Params, isa##_convolve, ConvolveKind::kind>::kAbsorb,      \
   .replaces = inputs_bits(ConvolveRow::kKernel)},
#define DT_CONVOLVE_INT8_ROW(isa, features, Params) \
  DT_CONVOLVE_ROW(Params, "int8", int8, isa, features, "i8 i8 f32 -> f32", "linear")
#define DT_CONVOLVE_ROWS(isa, features, Params)                                                                        \
  DT_CONVOLVE_INT8_ROW(isa, features, Params)                                                                          \
  DT_CONVOLVE_ROW(Params, "depthwise_chw16", depthwise, isa, features, DT_CONVOLVE_FLOAT32,                            \
                  "chw16 linear linear -> chw16")                                                                      \
  DT_CONVOLVE_ROW(Params, "direct_chw16", blocked, isa, features, DT_CONVOLVE_FLOAT32, "chw16 linear linear -> chw16") \
  DT_CONVOLVE_ROW(Params, "stem_chw16", stem, isa, features, DT_CONVOLVE_FLOAT32, "linear linear linear -> chw16")     \
  DT_CONVOLVE_ROW(Params, "rows", rows, isa, features, DT_CONVOLVE_FLOATS, "linear")                                   \
  DT_CONVOLVE_ROW(Params, "gemm", gemm, isa, features, DT_CONVOLVE_FLOATS, "linear")
#if defined(__x86_64__)  // pairs of bfloat16 come last, as those of matrix products do
#define DT_CONVOLVE_VNNI_ROW(Params) DT_CONVOLVE_INT8_ROW(avx512vnni, kAvx512Vnni, Params)
#define DT_CONVOLVE_BF16_ROW(Params) \
  DT_CONVOLVE_ROW(Params, "gemm", bf16, avx512bf16, kAvx512Bf16, "bf16|bf16 bf16|bf16 bf16|f32 -> bf16|bf16", "linear")
#else
#define DT_CONVOLVE_VNNI_ROW(Params)
#define DT_CONVOLVE_BF16_ROW(Params)
#endif
#define DOVETAIL_CONVOLVE_ROWS(Params) \
  DT_CONVOLVE_VNNI_ROW(Params) DOVETAIL_EACH_ISA_WITH(DT_CONVOLVE_ROWS, Params) DT_CONVOLVE_BF16_ROW(Params)

#endif
