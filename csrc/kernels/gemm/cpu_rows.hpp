// SPDX-License-Identifier: Apache-2.0
// Rows of matrix products on the CPU: choice of the kernel, packing, and division of the work. For rows files.
#ifndef DOVETAIL_KERNELS_GEMM_CPU_ROWS_HPP
#define DOVETAIL_KERNELS_GEMM_CPU_ROWS_HPP

#include <vector>

#include "dovetail/epilogue.hpp"
#include "kernels/gemm/axes.hpp"
#include "kernels/layout/shares.hpp"

DOVETAIL_OPEN_NAMESPACE

struct GemmKernels {
  void (*pack)(const GemmArgs& args, const GemmPacked& packed, int64_t first, int64_t last);
  void (*tiles)(const GemmArgs& args, const GemmPacked& packed, int64_t first, int64_t last, float* scratch);
  void (*few)(const GemmArgs& args, const GemmPacked& packed, int64_t first, int64_t last, float* scratch);
  void (*vector)(const GemmArgs& args, int64_t first, int64_t last);
  void (*exact)(const GemmArgs& args, int64_t first, int64_t last);
  int64_t panel, tile;
  int64_t terms = 1;         // of k in a packed float: 2 where they are pairs of bfloat16
  bool reads_panel = false;  // rows of a up to a whole panel, wherever the last ones are
};

#define DT_GEMM_KERNELS(isa, needs)                                                                             \
  inline constexpr GemmKernels isa##_gemm = {isa::gemm_pack,  isa::gemm_tiles, isa::gemm_few, isa::gemm_vector, \
                                             isa::gemm_exact, isa::kGemmPanel, isa::kGemmTile};
DOVETAIL_EACH_ISA(DT_GEMM_KERNELS)
#if defined(__x86_64__)
inline constexpr GemmKernels avx512bf16_gemm = {
    avx512bf16::gemm_pack,  avx512bf16::gemm_tiles, avx512bf16::gemm_few,  avx512bf16::gemm_vector,
    avx512bf16::gemm_exact, avx512bf16::kGemmPanel, avx512bf16::kGemmTile, 2};
inline constexpr GemmKernels amx_gemm = {amx::gemm_pack,
                                         amx::gemm_tiles,
                                         amx::gemm_few,
                                         amx::gemm_vector,
                                         amx::gemm_exact,
                                         kGemmTilesPanel,
                                         amx::kGemmTile,
                                         2,
                                         true};
#endif
#undef DT_GEMM_KERNELS

// Which inputs of a product are constants that were packed, or may be.
struct GemmConstants {
  bool a, b;
  // A bias belongs to the columns of b, which therefore keeps its role.
  static GemmConstants of(const Descs& inputs, bool has_bias) {
    if (!inputs.has(kGemmB)) return {false, false};
    return {!has_bias && inputs[kGemmA].is_constant(), inputs[kGemmB].is_constant()};
  }
};

// Panels of b that are multiplied at once: all of them, or as many as there is room for where they are packed in a run.
struct GemmPart {
  GemmPacked packed;  // but for the panels' address
  Pieces packing;     // of the panels
  Pieces items;       // of the product: each piece has a slot of the workspace
};

// What a row knows of a context with these extents. `way` is the kernel, kNothing where y is empty.
struct GemmState {
  enum Way { kNothing, kExact, kVector, kFew, kTiles };
  const GemmKernels* kernels = nullptr;
  GemmArgs args = {};
  Way way = kNothing;
  Pieces pieces;      // of all ways but kTiles
  int64_t grain = 0;  // of kFew: items that a thread takes at least
  std::vector<GemmPart> parts;
  int64_t slot = 0;       // floats of a piece in the workspace
  int64_t panels_at = 0;  // where panels are packed in the workspace, in floats; -1 where they are packed already
  EpilogueProgram epilogue = {};
  int bias_operand = -1;  // of the epilogue, if its first step became the bias
  bool is_swapped = false, has_b = false, has_bias = false;
  DataType b_type = DataType::kFLOAT;
};

// A product on one instruction set. A constant input is packed while building and takes the role of b.
class Gemm {
  static constexpr int64_t kMostPacked = int64_t{64} << 20;  // bytes of b that are packed at once at run time
  static constexpr double kWorthThread = 4e5;                // products that take some microseconds
  static constexpr int64_t kSumFloats = 256 << 10;           // of y, that one thread adds up apart (GemmPacked::group)

 public:
  // `type` is that of a and of y, but for INT8, whose y is float32.
  Gemm(const GemmKernels& kernels, const GemmAxes& axes, DataType type, DataType b_type, GemmConstants constants)
      : kernels_(kernels), axes_(axes), type_(type), b_type_(b_type) {
    const bool packs_a = constants.a && !constants.b && may_pack(kGemmA);
    const bool packs_b = constants.b && !constants.a && may_pack(kGemmB);
    is_packed_ = packs_a || packs_b;
    is_swapped_ = is_packed_ ? packs_a : is_turned(axes_);
    if (is_swapped_) swap_inputs(&axes_);
  }

  // True if b, with its role here, was packed while building.
  bool is_packed() const { return is_packed_; }
  bool is_swapped() const { return is_swapped_; }

  void prepare(const void* a, const void* b, const Emit& emit) const {
    if (!is_packed_) return;
    GemmArgs args = {};
    set(&args, a, b, nullptr);
    GemmPacked packed = {};
    packed.last_batch = args.batch.n;
    packed.last_panel = panels(args);
    const int64_t floats = packed_floats(args);
    packed.panels = emit.alloc<float>(static_cast<uint64_t>(floats > 0 ? floats : 1));
    if (floats > 0) kernels_.pack(args, packed, 0, args.batch.n * packed.last_panel);
    emit.give(packed.panels, static_cast<uint64_t>(floats) * 4);
  }

  // With the largest extents.
  uint64_t workspace(int n_threads) const {
    if (is_exact()) return 0;
    GemmArgs args = {};
    set(&args, nullptr, nullptr, nullptr);
    int64_t bytes = (n_threads > 0 ? n_threads : 1) * slot_floats(args) * 4;
    // As m and n may change their roles with the extents at run time, there is room for a panel of either.
    if (!is_packed_) {
      const int64_t whole = packed_floats(args) * 4, one = slots(args) * kernels_.tile * 4;
      bytes += whole < kMostPacked ? (whole > one ? whole : one) : kMostPacked > one ? kMostPacked : one;
    }
    return static_cast<uint64_t>(bytes);
  }

  // All but the addresses, and bias.
  GemmState plan(const RunSetup& setup) const {
    GemmState state;
    state.kernels = &kernels_;
    state.is_swapped = is_swapped_;
    state.b_type = b_type_;
    GemmArgs& args = state.args;
    set(&args, nullptr, nullptr, nullptr);
    args.bias_step = is_swapped_ ? 0 : 1;
    if (args.batch.n * args.m.n * args.n.n == 0) return state;
    const int n_threads = setup.n_threads();
    const int64_t columns = (args.n.n + kGemmColumns - 1) / kGemmColumns;
    const double work = 2.0 * static_cast<double>(args.k.n * kGemmColumns);  // of kGemmColumns results
    if (is_exact()) {
      state.way = GemmState::kExact;
      state.pieces = cut(args.batch.n * args.m.n * columns, work, 1, n_threads);
    } else if (is_packed_ && args.m.n <= kGemmFewRows) {
      expect_packed(setup);
      const int64_t items = (panels(args) + kGemmFewPanels - 1) / kGemmFewPanels;
      const int64_t floats = kGemmFewPanels * kernels_.tile * slots(args);
      state.way = GemmState::kFew;
      state.slot = slot_floats(args);
      state.pieces = cut(args.batch.n * items, static_cast<double>(floats), 1, n_threads);
      state.grain = grain_of(state.pieces, 8 * static_cast<double>(floats));  // weights arrive at 10 to 20 bytes a ns
    } else if (!is_packed_ && args.m.n == 1 &&
               (DT_ISA::gemm_is_unit(args.n, kGemmB) || DT_ISA::gemm_is_unit(args.k, kGemmB))) {
      state.way = GemmState::kVector;
      state.pieces = cut(args.batch.n * columns, work, 1, n_threads);
    } else {
      divide_tiles(setup, &state);
    }
    return state;
  }

  static void run(GemmState& state, const Run& run) {
    const GemmKernels& kernels = *state.kernels;
    GemmArgs& args = state.args;
    const void* const a = run.input(kGemmA).data<void>();
    const void* const b = state.has_b ? run.input(kGemmB).data<void>() : one_of(state.b_type);
    args.a = state.is_swapped ? b : a;
    args.b = state.is_swapped ? a : b;
    args.y = run.output(0).data<void>();
    switch (state.way) {
      case GemmState::kNothing:
        return;
      case GemmState::kExact:
        return run_pieces(run, state.pieces, [&](int64_t first, int64_t last) { kernels.exact(args, first, last); });
      case GemmState::kVector:
        return run_pieces(run, state.pieces, [&](int64_t first, int64_t last) { kernels.vector(args, first, last); });
      case GemmState::kFew:
        return run_few(state, run);
      case GemmState::kTiles:
        break;
    }
    float* const slots = run.workspace<float>();
    for (GemmPart& part : state.parts) {
      GemmPacked& packed = part.packed;
      if (part.packing.count > 0) {
        packed.panels = slots + state.panels_at;
        run_pieces(run, part.packing, [&](int64_t first, int64_t last) { kernels.pack(args, packed, first, last); });
      } else if (state.panels_at < 0) {
        packed.panels = const_cast<float*>(run.packed<float>());
      }
      run_shares(run, part.items, 1, [&](int32_t piece, int64_t first, int64_t last) {
        kernels.tiles(args, packed, first, last, slots + piece * state.slot);
      });
    }
  }

  // True if the innermost axis of y, and no other, is b's alone: its elements are the channels of an epilogue.
  bool may_absorb() const {
    if (is_exact() || is_swapped_) return false;
    const GemmAxis* columns = nullptr;
    for (int i = 0; i < axes_.n; ++i) {
      const GemmAxis& axis = axes_.axis[i];
      if (!axis.is_of[kGemmY] || axis.is_of[kGemmA] || (axis.n == 1 && !axis.is_dynamic)) continue;
      if (columns) return false;
      columns = &axis;
    }
    return columns && !columns->is_dynamic && columns->stride[kGemmY] == 1;
  }

 private:
  static void run_few(GemmState& state, const Run& run) {
    GemmPacked packed = {};
    packed.panels = const_cast<float*>(run.packed<float>());
    packed.last_panel = (state.args.n.n + state.kernels->tile - 1) / state.kernels->tile;
    float* const slots = run.workspace<float>();
    run_shares(run, state.pieces, state.grain, [&](int32_t piece, int64_t first, int64_t last) {
      state.kernels->few(state.args, packed, first, last, slots + piece * state.slot);
    });
  }

  // An input alone is multiplied by one, of its own type: kernels for one type read both inputs as that.
  static const void* one_of(DataType type) {
    static const int64_t kOne = 1;  // narrower integers are its first bytes
    static const float kFloatOne = 1;
    static const uint16_t kHalfOne = 0x3c00, kBf16One = 0x3f80;
    if (type == DataType::kFLOAT) return &kFloatOne;
    if (type == DataType::kHALF) return &kHalfOne;
    return type == DataType::kBF16 ? static_cast<const void*>(&kBf16One) : &kOne;
  }

  bool is_exact() const { return type_ == DataType::kINT8 || type_ == DataType::kINT32 || type_ == DataType::kINT64; }

  // Where an extent that a constant meets is not known, its axis may turn out to be another index.
  bool may_pack(int t) const {
    if (is_exact()) return false;
    for (int i = 0; i < axes_.n; ++i) {
      if (axes_.axis[i].is_of[t] && axes_.axis[i].is_dynamic) return false;
    }
    return true;
  }

  void set(GemmArgs* args, const void* a, const void* b, void* y) const {
    set_groups(args, axes_);
    args->a = is_swapped_ ? b : a;
    args->b = is_swapped_ ? a : b;
    args->y = y;
    args->type = static_cast<int32_t>(type_);
    args->a_type = static_cast<int32_t>(is_swapped_ ? b_type_ : type_);
    args->b_type = static_cast<int32_t>(is_swapped_ ? type_ : b_type_);
  }

  int64_t panels(const GemmArgs& args) const { return (args.n.n + kernels_.tile - 1) / kernels_.tile; }
  int64_t packed_floats(const GemmArgs& args) const {
    return args.batch.n * panels(args) * slots(args) * kernels_.tile;
  }
  int64_t slots(const GemmArgs& args) const { return (args.k.n + kernels_.terms - 1) / kernels_.terms; }
  // Floats of a that a thread copies at once, a panel at least, and behind them room for sums of pieces of k.
  int64_t slot_floats(const GemmArgs& args) const {
    const int64_t one = kernels_.panel * DT_ISA::gemm_row_floats(slots(args));
    return (one > kGemmBlockFloats ? one : kGemmBlockFloats) + 16 + (kernels_.reads_panel ? one : 0) + sum_floats(args);
  }
  // The same if m and n change their roles.
  static int64_t sum_floats(const GemmArgs& args) {
    if (args.k.n <= kGemmPieces * kGemmDepth) return 0;
    constexpr int64_t kWhole = 32;  // up to a whole panel or tile of any kernel
    const double all = static_cast<double>(args.m.n + kWhole) * static_cast<double>(args.n.n + kWhole);
    return all < static_cast<double>(kSumFloats) ? static_cast<int64_t>(all) : kSumFloats;
  }
  // Pieces of a long k are added up in groups, as many groups as pieces of one.
  void set_groups_of_pieces(const GemmArgs& args, int64_t slot, int64_t n_panels, GemmPacked* packed) const {
    const int64_t pieces = (args.k.n + kGemmDepth - 1) / kGemmDepth, room = sum_floats(args);
    if (pieces <= kGemmPieces) return;
    packed->group = kGemmPieces;
    while (packed->group * packed->group < pieces) packed->group *= 2;
    packed->sums_at = slot - room;
    const int64_t rows = (packed->block + kernels_.panel - 1) / kernels_.panel * kernels_.panel;
    const int64_t fit = room / (rows * kernels_.tile), splits = (n_panels + fit - 1) / fit;
    if (packed->splits < splits) packed->splits = splits;
  }

  static double products(const GemmArgs& args) {
    return static_cast<double>(args.m.n) * static_cast<double>(args.n.n) * static_cast<double>(args.k.n);
  }

  // Float32 matrices whose b lies as the registers want it, and for which packing it is not worth it: there are few rows,
  // or those of b lie so near to one another that a panel fits into the cache.
  bool is_in_place(const GemmArgs& args) const {
    if (type_ != DataType::kFLOAT || b_type_ != DataType::kFLOAT || args.k.rank > 1) return false;
    if (!DT_ISA::gemm_is_unit(args.n, kGemmB) || !DT_ISA::gemm_is_unit(args.n, kGemmY)) return false;
    constexpr int64_t kNear = 128;
    return args.m.n <= 2 * kernels_.panel || products(args) <= 64 * 64 * 64 ||
           DT_ISA::gemm_step(args.k, kGemmB) <= kNear;
  }

  void expect_packed(const RunSetup& setup) const {
    GemmArgs args = {};
    set(&args, nullptr, nullptr, nullptr);
    if (setup.packed_bytes() == static_cast<uint64_t>(packed_floats(args)) * 4) return;
    fail(DT_SHAPE, "the packed matrix has %llu bytes, these extents need %lld",
         static_cast<unsigned long long>(setup.packed_bytes()), static_cast<long long>(packed_floats(args) * 4));
  }

  void divide_tiles(const RunSetup& setup, GemmState* state) const {
    const GemmArgs& args = state->args;
    const int64_t one = slots(args) * kernels_.tile, of_batch = panels(args);
    const int64_t slot = slot_floats(args), floats = static_cast<int64_t>(setup.workspace_bytes() / 4);
    GemmPart part = {};
    GemmPacked& packed = part.packed;
    state->way = GemmState::kTiles;
    state->slot = slot;
    state->panels_at = -1;
    if (is_packed_ || is_in_place(args)) {
      if (is_packed_) expect_packed(setup);
      if (!is_packed_) state->panels_at = 0;
      packed.last_batch = args.batch.n;
      packed.last_panel = of_batch;
      divide(args, floats, slot, setup.n_threads(), &part);
      state->parts.push_back(part);
      return;
    }
    int64_t threads = (floats - one) / slot;  // that have room
    if (threads > setup.n_threads()) threads = setup.n_threads();
    const int64_t room = floats - threads * slot, fit = one > 0 ? room / one : of_batch * args.batch.n;
    if (threads < 1) {
      fail(DT_INTERNAL, "a workspace of %lld bytes holds no panels of %lld bytes", static_cast<long long>(floats * 4),
           static_cast<long long>((one + slot) * 4));
    }
    state->panels_at = threads * slot;
    // Whole matrices of the batch at once, or parts of one.
    const int64_t n_batches = fit >= of_batch ? fit / of_batch : 1, n_panels = fit >= of_batch ? of_batch : fit;
    for (int64_t batch = 0; batch < args.batch.n; batch += n_batches) {
      packed.first_batch = batch;
      packed.last_batch = batch + n_batches < args.batch.n ? batch + n_batches : args.batch.n;
      for (int64_t p = 0; p < of_batch; p += n_panels) {
        packed.first_panel = p;
        packed.last_panel = p + n_panels < of_batch ? p + n_panels : of_batch;
        const int64_t items = (packed.last_batch - batch) * (packed.last_panel - p);
        part.packing = cut(items, static_cast<double>(one > 0 ? one : 1), 1, setup.n_threads());
        divide(args, threads * slot, slot, setup.n_threads(), &part);
        state->parts.push_back(part);
      }
    }
  }

  // Rows whose copies fit into a slot, for pieces of k or for all of it.
  int64_t most_rows(const GemmArgs& args, bool in_pieces) const {
    const int64_t rows = kGemmBlockFloats / DT_ISA::gemm_row_floats(in_pieces ? kGemmDepth : slots(args));
    return rows > kernels_.panel ? rows : kernels_.panel;
  }

  // Cuts the product of one part; the workspace has `floats` for slots. Threads share the larger of the two matrices, so
  // that each of its elements is read by one of them.
  void divide(const GemmArgs& args, int64_t floats, int64_t slot, int64_t threads, GemmPart* part) const {
    GemmPacked& packed = part->packed;
    const int64_t batches = packed.last_batch - packed.first_batch, panels = packed.last_panel - packed.first_panel;
    const bool in_pieces = type_ == DataType::kFLOAT && DT_ISA::gemm_is_unit(args.n, kGemmY);
    const double of_part = products(args) * static_cast<double>(panels) / static_cast<double>(this->panels(args));
    const double work = static_cast<double>(batches) * of_part;
    int64_t pieces =
        work / kWorthThread < static_cast<double>(threads) ? static_cast<int64_t>(work / kWorthThread) : threads;
    if (slot * pieces > floats) pieces = floats / slot;
    if (pieces < 1) pieces = 1;
    if (floats < slot) fail(DT_INTERNAL, "the workspace lacks %lld bytes", static_cast<long long>((slot - floats) * 4));
    const int64_t most = most_rows(args, in_pieces), m = args.m.n;
    int64_t blocks = (m + most - 1) / most;
    packed.splits = 1;
    // As many items for each thread that others can help one that is late, and still some microseconds each.
    const double worth_items = work / (2.5 * kWorthThread);
    int64_t wanted = worth_items < 8.0 * static_cast<double>(pieces) ? static_cast<int64_t>(worth_items) : 8 * pieces;
    wanted = pieces > 1 ? (wanted < pieces ? pieces : wanted / pieces * pieces) : 1;
    if (batches * blocks % pieces != 0 && batches * blocks < 4 * pieces && wanted < batches * blocks * pieces)
      wanted = batches * blocks * pieces;
    if (batches * blocks < wanted) {
      const int64_t of_batch = (wanted + batches - 1) / batches, tiles = (m + kernels_.panel - 1) / kernels_.panel;
      if (m >= args.n.n && tiles >= of_batch) {
        blocks = of_batch;
      } else {
        // Rows of a that do not lie as they are read are copied for each split.
        const int64_t each = panels / 3 / pieces, fair = (each > 1 ? each : 1) * pieces;
        const int64_t most_splits = fair < panels ? fair : panels;
        packed.splits = of_batch / blocks < most_splits ? of_batch / blocks : most_splits;
      }
    }
    packed.block = (m + blocks - 1) / blocks;
    if (in_pieces) set_groups_of_pieces(args, slot, panels, &packed);
    const int64_t items = batches * ((m + packed.block - 1) / packed.block) * packed.splits;
    if (pieces > items) pieces = items;
    part->items = {items, (items + pieces - 1) / pieces, static_cast<int32_t>(pieces)};
  }

  const GemmKernels& kernels_;
  GemmAxes axes_;
  const DataType type_, b_type_;
  bool is_packed_, is_swapped_;
};

// The functions of a row. Rule::axes(params, ..., &axes) gives null, or why these tensors make no product.
template <class Params, class Rule, const GemmKernels& kernels>
struct GemmRow {
  static constexpr uint64_t kReplaces = Rule::kBias > 0 ? inputs_bits(kGemmB) : inputs_bits(kGemmA, kGemmB);
  static DataType type_of_b(const Descs& inputs) { return inputs[inputs.has(kGemmB) ? kGemmB : kGemmA].type(); }
  static Gemm product(const Params& params, const Descs& inputs, const Descs& outputs, GemmConstants constants) {
    GemmAxes axes;
    const char* reason = Rule::axes(params, inputs, outputs, &axes);
    if (reason) fail(DT_SHAPE, "%s", reason);
    return Gemm(kernels, axes, inputs[kGemmA].type(), type_of_b(inputs), constants);
  }
  static Gemm planned(const Params& params, const Descs& inputs, const Descs& outputs) {
    return product(params, inputs, outputs, GemmConstants::of(inputs, Rule::kBias > 0));
  }
  static const char* fits(const Params& params, const Descs& inputs, const Descs& outputs) {
    GemmAxes axes;
    return Rule::axes(params, inputs, outputs, &axes);
  }
  static void prepare(const Params& params, const Descs& inputs, const Descs& outputs, const Emit& emit) {
    if (!inputs.has(kGemmB)) return;
    planned(params, inputs, outputs).prepare(inputs[kGemmA].data<void>(), inputs[kGemmB].data<void>(), emit);
  }
  static uint64_t workspace(const Params& params, const Descs& inputs, const Descs& outputs, int n_threads) {
    return planned(params, inputs, outputs).workspace(n_threads);
  }
  static GemmState plan(const Params& params, const Descs& inputs, const Descs& outputs, const RunSetup& setup) {
    const bool is_packed = setup.packed_bytes() > 0;
    const GemmConstants constants =
        is_packed ? GemmConstants::of(inputs, Rule::kBias > 0) : GemmConstants{false, false};
    const Gemm gemm = product(params, inputs, outputs, constants);
    if (is_packed && !gemm.is_packed()) {
      fail(DT_PLAN_CORRUPT, "there is a packed matrix, and no input that it could be");
    }
    GemmState state = gemm.plan(setup);
    state.epilogue = planned_epilogue(setup.epilogue(), outputs[0], Rule::channel_axis(params, outputs[0]));
    for (int i = 0; i < state.epilogue.n_tensors; ++i) {
      const EpilogueOperand& operand = state.epilogue.tensors[i];
      if (operand.form == kEpilogueByChannel && operand.image_step != 0) state.args.epilogue_by_row = true;
    }
    state.has_b = inputs.has(kGemmB);
    state.args.scale = inputs[kGemmA].scale() * (state.has_b ? inputs[kGemmB].scale() : 1.0f);
    state.has_bias = Rule::kBias >= 0 && inputs.has(Rule::kBias);
    state.args.bias_type = static_cast<int32_t>(state.has_bias ? inputs[Rule::kBias].type() : DataType::kFLOAT);
    take_bias(&state);
    return state;
  }
  static void enqueue(const Params&, GemmState& state, const Run& run) {
    if (state.has_bias) {
      const Tensor bias = run.input(Rule::kBias);
      state.args.bias = bias.data<void>();
    }
    set_operands(run, &state.epilogue);
    if (state.bias_operand >= 0) state.args.bias = state.epilogue.tensors[state.bias_operand].data;
    state.args.epilogue = state.epilogue.n_steps > 0 ? &state.epilogue : nullptr;
    Gemm::run(state, run);
  }
  static int absorb(const Params& params, const Descs& inputs, const Descs& outputs, const Epilogue& program) {
    if (!planned(params, inputs, outputs).may_absorb()) return 0;
    return absorbed(program, outputs[0], Rule::channel_axis(params, outputs[0]));
  }

 private:
  // A first step that adds one value for each column is the bias, which costs nothing where sums leave the registers.
  static void take_bias(GemmState* state) {
    EpilogueProgram& program = state->epilogue;
    const EpilogueStep& step = program.steps[0];
    if (state->has_bias || program.n_steps == 0 || step.operation != DT_STEP_ADD || step.to != 0) return;
    for (int k = 0; k < 2; ++k) {
      if (step.kind[k] != kEpilogueTensor || step.kind[1 - k] != kEpilogueRegister) continue;
      const EpilogueOperand& operand = program.tensors[step.index[k]];
      if (operand.form != kEpilogueByChannel || operand.image_step != 0 || operand.type == DT_TYPE_BOOL) continue;
      state->bias_operand = step.index[k];
      state->args.bias_type = operand.type;
      state->args.bias_step = operand.channel_step;
      --program.n_steps;
      for (int i = 0; i < program.n_steps; ++i) program.steps[i] = program.steps[i + 1];
      return;
    }
  }
};

DOVETAIL_CLOSE_NAMESPACE

// The rows of a layer. Pairs of bfloat16 in vectors come last, since not every machine that has them multiplies them
// faster than floats: the order decides only where nothing is timed. Tiles do, and come first.
#if defined(__x86_64__)
#define DT_GEMM_AMX_ROW(Params, Rule) DT_GEMM_ROW(Params, Rule, amx, kAmx, "gemm_amx", kBf16Types)
#define DT_GEMM_BF16_ROW(Params, Rule) DT_GEMM_ROW(Params, Rule, avx512bf16, kAvx512Bf16, "gemm_avx512bf16", kBf16Types)
#else
#define DT_GEMM_AMX_ROW(Params, Rule)
#define DT_GEMM_BF16_ROW(Params, Rule)
#endif
#define DOVETAIL_GEMM_ROWS(Params, Rule) \
  DT_GEMM_AMX_ROW(Params, Rule)          \
  DOVETAIL_EACH_ISA_WITH(DT_GEMM_ROWS, Params, Rule) DT_GEMM_BF16_ROW(Params, Rule)
#define DT_GEMM_ROWS(isa, features, Params, Rule)                     \
  DT_GEMM_ROW(Params, Rule, isa, features, "gemm_" #isa, kFloatTypes) \
  DT_GEMM_ROW(Params, Rule, isa, features, "exact_" #isa, kIntegerTypes)
#define DT_GEMM_ROW(Params, Rule, isa, features, name, types_) \
  {.tactic = name,                                             \
   .needs = features,                                          \
   .types = types_,                                            \
   .formats = "linear",                                        \
   .fits = GemmRow<Params, Rule, isa##_gemm>::fits,            \
   .prepare = GemmRow<Params, Rule, isa##_gemm>::prepare,      \
   .workspace = GemmRow<Params, Rule, isa##_gemm>::workspace,  \
   .enqueue = GemmRow<Params, Rule, isa##_gemm>::enqueue,      \
   .absorb = GemmRow<Params, Rule, isa##_gemm>::absorb,        \
   .replaces = GemmRow<Params, Rule, isa##_gemm>::kReplaces,   \
   .plan = GemmRow<Params, Rule, isa##_gemm>::plan},

#endif
