// SPDX-License-Identifier: Apache-2.0
// Rows of matrix products on the CPU: which kernel, what is packed when, and how the work is cut. For rows files.
#ifndef DOVETAIL_KERNELS_GEMM_CPU_ROWS_HPP
#define DOVETAIL_KERNELS_GEMM_CPU_ROWS_HPP

#include "kernels/gemm/axes.hpp"

DOVETAIL_OPEN_NAMESPACE

struct GemmKernels {
  void (*pack)(const GemmArgs& args, const GemmPacked& packed, int64_t first, int64_t last);
  void (*packed)(const GemmArgs& args, const GemmPacked& packed, int64_t first, int64_t last, float* scratch);
  void (*direct)(const GemmArgs& args, int64_t panel, int64_t first, int64_t last);
  void (*vector)(const GemmArgs& args, int64_t first, int64_t last);
  void (*exact)(const GemmArgs& args, int64_t first, int64_t last);
  int64_t panel, tile;
  int64_t terms = 1;  // of k in a packed float: 2 where they are pairs of bfloat16
};

#define DT_GEMM_KERNELS(isa, needs)                                                                                 \
  inline constexpr GemmKernels isa##_gemm = {isa::gemm_pack,  isa::gemm_packed, isa::gemm_direct, isa::gemm_vector, \
                                             isa::gemm_exact, isa::kGemmPanel,  isa::kGemmTile};
DOVETAIL_EACH_ISA(DT_GEMM_KERNELS)
#if defined(__x86_64__)
inline constexpr GemmKernels avx512bf16_gemm = {
    avx512bf16::gemm_pack,  avx512bf16::gemm_packed, avx512bf16::gemm_direct, avx512bf16::gemm_vector,
    avx512bf16::gemm_exact, avx512bf16::kGemmPanel,  avx512bf16::kGemmTile,   2};
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
  static GemmConstants of(const Run& run, bool has_bias) {
    const bool is_packed = run.packed() != nullptr && run.has_input(kGemmB);
    return {is_packed && !has_bias && run.input(kGemmA).is_constant(), is_packed && run.input(kGemmB).is_constant()};
  }
};

// A product on one instruction set. A constant input is packed while building and takes the role of b.
class Gemm {
  static constexpr int64_t kMostPacked = int64_t{64} << 20;  // bytes of b that are packed at once at run time
  static constexpr int64_t kBlockFloats = 48 << 10;          // of a, packed by one thread
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

  // Was b, in the roles that it has here, packed while building?
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
    emit(packed.panels, static_cast<uint64_t>(floats) * 4);
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

  void run(const Run& run, const void* bias = nullptr, DataType bias_type = DataType::kFLOAT) const {
    const Tensor a = run.input(kGemmA);
    GemmArgs args = {};
    const void* b = one_of(b_type_);
    args.scale = a.scale();
    if (run.has_input(kGemmB)) {
      b = run.input(kGemmB).data<void>();
      args.scale *= run.input(kGemmB).scale();
    }
    set(&args, a.data<void>(), b, run.output(0).data<void>());
    args.bias = bias;
    args.bias_type = static_cast<int32_t>(bias_type);
    args.bias_step = is_swapped_ ? 0 : 1;
    if (args.batch.n * args.m.n * args.n.n == 0) return;
    const int64_t columns = (args.n.n + kGemmColumns - 1) / kGemmColumns;
    if (is_exact()) {
      parallel_ranges(run, args.batch.n * args.m.n * columns, 2.0 * static_cast<double>(args.k.n * kGemmColumns), 1,
                      [&](int64_t first, int64_t last) { kernels_.exact(args, first, last); });
    } else if (is_packed_) {
      run_packed(run, args);
    } else if (args.m.n == 1 && (DT_ISA::gemm_is_unit(args.n, kGemmB) || DT_ISA::gemm_is_unit(args.k, kGemmB))) {
      parallel_ranges(run, args.batch.n * columns, 2.0 * static_cast<double>(args.k.n * kGemmColumns), 1,
                      [&](int64_t first, int64_t last) { kernels_.vector(args, first, last); });
    } else if (is_direct(args)) {
      const int64_t panel = panel_for(args.m.n), panels = (args.m.n + panel - 1) / panel;
      parallel_ranges(run, args.batch.n * panels, products(args) / static_cast<double>(8 * panels) + 1, 1,
                      [&](int64_t first, int64_t last) { kernels_.direct(args, panel, first, last); });
    } else {
      run_packed(run, args);
    }
  }

 private:
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
  // Rows of one panel: as many as the registers hold, but in panels of nearly equal size.
  int64_t panel_for(int64_t m) const {
    const int64_t n = (m + kernels_.panel - 1) / kernels_.panel;
    return n > 0 ? (m + n - 1) / n : 1;
  }
  // Floats of a that a thread packs at once, a panel at least, and behind them room for sums of pieces of k.
  int64_t slot_floats(const GemmArgs& args) const {
    const int64_t one = kernels_.panel * slots(args);
    return (one > kBlockFloats ? one : kBlockFloats) + 16 + sum_floats(args);
  }
  // The same if m and n change their roles.
  static int64_t sum_floats(const GemmArgs& args) {
    if (args.k.n <= kGemmPieces * kGemmDepth) return 0;
    constexpr int64_t kWhole = 32;  // up to a whole panel or tile of any kernel
    const double all = static_cast<double>(args.m.n + kWhole) * static_cast<double>(args.n.n + kWhole);
    return all < static_cast<double>(kSumFloats) ? static_cast<int64_t>(all) : kSumFloats;
  }
  // Pieces of a long k are added up in groups, as many groups as pieces of one.
  void set_groups_of_pieces(const GemmArgs& args, int64_t slot, int64_t n_panels, int64_t panels_of_m,
                            GemmPacked* packed) const {
    const int64_t pieces = (args.k.n + kGemmDepth - 1) / kGemmDepth, room = sum_floats(args);
    if (pieces <= kGemmPieces) return;
    packed->group = kGemmPieces;
    while (packed->group * packed->group < pieces) packed->group *= 2;
    packed->sums_at = slot - room;
    const int64_t rows = (packed->block < panels_of_m ? packed->block : panels_of_m) * packed->panel;
    const int64_t fit = room / (rows * kernels_.tile), splits = (n_panels + fit - 1) / fit;
    if (packed->splits < splits) packed->splits = splits;
  }

  static double products(const GemmArgs& args) {
    return static_cast<double>(args.m.n) * static_cast<double>(args.n.n) * static_cast<double>(args.k.n);
  }

  // Float32 matrices that lie as the registers want them, and so small that packing is not worth it.
  bool is_direct(const GemmArgs& args) const {
    if (type_ != DataType::kFLOAT || b_type_ != DataType::kFLOAT || !DT_ISA::gemm_is_unit(args.n, kGemmB)) return false;
    if (args.m.rank > 1 || args.k.rank > 1) return false;
    return args.m.n <= 2 * kernels_.panel || products(args) <= 64 * 64 * 64;
  }

  void run_packed(const Run& run, const GemmArgs& args) const {
    const int64_t one = slots(args) * kernels_.tile, of_batch = panels(args);
    float* const slots = run.workspace<float>();
    const int64_t slot = slot_floats(args), floats = static_cast<int64_t>(run.workspace_bytes() / 4);
    GemmPacked packed = {};
    packed.panel = panel_for(args.m.n);
    if (is_packed_) {
      if (run.packed_bytes() != static_cast<uint64_t>(packed_floats(args)) * 4) {
        fail(DT_SHAPE, "the packed matrix has %llu bytes, these extents need %lld",
             static_cast<unsigned long long>(run.packed_bytes()), static_cast<long long>(packed_floats(args) * 4));
      }
      packed.panels = const_cast<float*>(run.packed<float>());
      packed.last_batch = args.batch.n;
      packed.last_panel = of_batch;
      return multiply(run, args, packed, slots, floats, slot);
    }
    int64_t threads = (floats - one) / slot;  // that have room
    if (threads > run.n_threads()) threads = run.n_threads();
    const int64_t room = floats - threads * slot, fit = one > 0 ? room / one : of_batch * args.batch.n;
    if (threads < 1) {
      fail(DT_INTERNAL, "a workspace of %lld bytes holds no panels of %lld bytes", static_cast<long long>(floats * 4),
           static_cast<long long>((one + slot) * 4));
    }
    packed.panels = slots + threads * slot;
    // Whole matrices of the batch at once, or parts of one.
    const int64_t n_batches = fit >= of_batch ? fit / of_batch : 1, n_panels = fit >= of_batch ? of_batch : fit;
    for (int64_t batch = 0; batch < args.batch.n; batch += n_batches) {
      packed.first_batch = batch;
      packed.last_batch = batch + n_batches < args.batch.n ? batch + n_batches : args.batch.n;
      for (int64_t p = 0; p < of_batch; p += n_panels) {
        packed.first_panel = p;
        packed.last_panel = p + n_panels < of_batch ? p + n_panels : of_batch;
        const int64_t items = (packed.last_batch - batch) * (packed.last_panel - p);
        if (one > 0) {
          parallel_ranges(run, items, static_cast<double>(one), 1,
                          [&](int64_t first, int64_t last) { kernels_.pack(args, packed, first, last); });
        }
        multiply(run, args, packed, slots, threads * slot, slot);
      }
    }
  }

  void multiply(const Run& run, const GemmArgs& args, GemmPacked packed, float* slots, int64_t floats,
                int64_t slot) const {
    const int64_t batches = packed.last_batch - packed.first_batch, panels = packed.last_panel - packed.first_panel;
    const int64_t all = (args.m.n + packed.panel - 1) / packed.panel, threads = run.n_threads();
    const bool in_pieces = type_ == DataType::kFLOAT && DT_ISA::gemm_is_unit(args.n, kGemmY);
    int64_t depth = in_pieces && args.k.n > kGemmDepth ? kGemmDepth : args.k.n;
    if (depth < 1) depth = 1;
    packed.block = kBlockFloats / (depth * packed.panel);
    const int64_t even = (batches * all + threads - 1) / threads;  // panels of m that each thread would have
    if (packed.block > even) packed.block = even;
    if (packed.block < 1) packed.block = 1;
    int64_t items = batches * ((all + packed.block - 1) / packed.block);
    packed.splits = items >= 2 * threads ? 1 : (2 * threads + items - 1) / items;
    if (packed.splits > panels) packed.splits = panels;
    if (in_pieces) set_groups_of_pieces(args, slot, panels, all, &packed);
    items *= packed.splits;
    const double worth =
        products(args) * static_cast<double>(batches * panels) / static_cast<double>(this->panels(args)) / 4e5;
    int64_t pieces = worth < static_cast<double>(threads) ? static_cast<int64_t>(worth) : threads;
    if (pieces > items) pieces = items;
    if (slot * pieces > floats) pieces = floats / slot;
    if (pieces < 1) pieces = 1;
    if (floats < slot) fail(DT_INTERNAL, "the workspace lacks %lld bytes", static_cast<long long>((slot - floats) * 4));
    run.parallel_for(pieces, [&](int32_t piece) {
      kernels_.packed(args, packed, items * piece / pieces, items * (piece + 1) / pieces, slots + piece * slot);
    });
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
  static DataType type_of_b(const Run& run) { return run.input(run.has_input(kGemmB) ? kGemmB : kGemmA).type(); }
  static Gemm planned(const Params& params, const Descs& inputs, const Descs& outputs) {
    GemmAxes axes;
    const char* reason = Rule::axes(params, inputs, outputs, &axes);
    if (reason) fail(DT_SHAPE, "%s", reason);
    return Gemm(kernels, axes, inputs[kGemmA].type(), type_of_b(inputs), GemmConstants::of(inputs, Rule::kBias > 0));
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
  static void enqueue(const Params& params, const Run& run) {
    GemmAxes axes;
    const char* reason = Rule::axes(params, run, &axes);
    if (reason) fail(DT_SHAPE, "%s", reason);
    const Gemm gemm(kernels, axes, run.input(kGemmA).type(), type_of_b(run), GemmConstants::of(run, Rule::kBias > 0));
    if (run.packed() != nullptr && !gemm.is_packed()) {
      fail(DT_PLAN_CORRUPT, "there is a packed matrix, and no input that it could be");
    }
    if (Rule::kBias < 0 || !run.has_input(Rule::kBias)) return gemm.run(run);
    const Tensor bias = run.input(Rule::kBias);
    gemm.run(run, bias.data<void>(), bias.type());
  }
};

DOVETAIL_CLOSE_NAMESPACE

// The rows of a layer. Pairs of bfloat16 come last, since not every machine that has them multiplies them faster than
// floats: the order decides only where nothing is timed.
#if defined(__x86_64__)
#define DT_GEMM_BF16_ROW(Params, Rule) DT_GEMM_ROW(Params, Rule, avx512bf16, kAvx512Bf16, "gemm_avx512bf16", kBf16Types)
#else
#define DT_GEMM_BF16_ROW(Params, Rule)
#endif
#define DOVETAIL_GEMM_ROWS(Params, Rule) \
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
   .replaces = GemmRow<Params, Rule, isa##_gemm>::kReplaces},

#endif
