// SPDX-License-Identifier: Apache-2.0
// QuantizedMatrixMultiply@1#cpu: tactics, best first.
#include <vector>

#include "kernels/quantized/cpu_rows.hpp"
#include "quantized_matrix_multiply.hpp"

using namespace dovetail;

namespace {

typedef QuantizedMatrixMultiplyParams Params;

constexpr QuantizedInputs kInputs = {Params::kAZero, Params::kBZero, Params::kFactor, Params::kBias, Params::kYZero};
constexpr int64_t kRowsOfItem = 112;  // of a, that stay in the caches for all of b; a multiple of what registers hold

// The matrices of a product. Where b is one matrix, all rows of a are those of one matrix too.
struct Matrices {
  int64_t batch = 1, m = 1, k = 1, n = 1;
  int64_t a_batch = 1, b_batch = 1;  // matrices that there are

  explicit Matrices(const Descs& inputs) {
    const int rank = inputs[Params::kA].rank();
    const int64_t *const a_dims = inputs[Params::kA].max(), *const b_dims = inputs[Params::kB].max();
    m = a_dims[rank - 2];
    k = a_dims[rank - 1];
    n = b_dims[rank - 1];
    for (int i = 0; i < rank - 2; ++i) {
      a_batch *= a_dims[i];
      b_batch *= b_dims[i];
      batch *= a_dims[i] == 1 ? b_dims[i] : a_dims[i];
    }
    if (b_batch == 1) {
      m *= batch;
      batch = a_batch = 1;
    }
  }

  int64_t entries() const { return (k + kQuantizedEntry - 1) / kQuantizedEntry; }
  int64_t padded() const { return entries() * kQuantizedEntry; }
};

struct State {
  const QuantizedKernels* kernels = nullptr;
  QuantizedLimits limits = {};
  QuantizedPacked packed;
  QuantizedArgs args = {};
  std::vector<int64_t> offsets, a_at, b_at;  // of the matrices of the batch, in elements
  int64_t k = 0, n = 0, rows_of_a = 0;
  bool copies_a = false, packs = false;
  int64_t vectors_at = 0, a_bytes_at = 0, b_bytes_at = 0, a_sums_at = 0;  // in the workspace
  Pieces copying, packing, summing;
  QuantizedPieces pieces;
  int64_t slots_at = 0;
};

QuantizedPacked packed_of(const Descs& inputs, const Matrices& size) {
  QuantizedPacked packed;
  packed.groups = 1;
  packed.columns = size.n;
  packed.entries = size.entries();
  packed.has_zeros = inputs.has(Params::kBZero) || inputs[Params::kB].type() == DataType::kUINT8;
  return packed;
}

bool is_packed_early(const Descs& inputs, const Matrices& size) {
  const bool has_zeros = inputs.has(Params::kBZero);
  return inputs[Params::kB].is_constant() && size.b_batch == 1 && (!has_zeros || inputs[Params::kBZero].is_constant());
}

bool must_copy(const Descs& inputs, const Matrices& size) {
  return inputs[Params::kA].type() == DataType::kINT8 || size.k % kQuantizedEntry != 0;
}

// A matrix b [k, n] and its zero points, as they are given.
struct RawB {
  const uint8_t *b, *zeros;
  int64_t k, n, n_zeros;
  DataType type;

  void pack_panels(const QuantizedPacked& packed, int64_t first, int64_t last, char* to) const {
    packed.pack_panels(
        [this](int64_t, int64_t column, int64_t entry, int64_t lane) {
          const int64_t at = entry * kQuantizedEntry + lane;
          return at < k ? static_cast<int8_t>(as_signed(b[at * n + column], type)) : int8_t{0};
        },
        first, last, to);
  }
  void pack_zeros(const QuantizedPacked& packed, char* to) const {
    packed.pack_zeros([this](int64_t entry, int64_t lane) { return entry * kQuantizedEntry + lane < k; }, zeros,
                      n_zeros, type, to);
  }
};

void prepare(const Params&, const Descs& inputs, const Descs&, const Emit& emit) {
  const Matrices size(inputs);
  const Desc b = inputs[Params::kB];
  const bool has_zeros = inputs.has(Params::kBZero);
  if (!is_packed_early(inputs, size) || b.data<void>() == nullptr) return;
  const QuantizedPacked packed = packed_of(inputs, size);
  const RawB raw = {b.data<uint8_t>(),
                    has_zeros ? inputs[Params::kBZero].data<uint8_t>() : nullptr,
                    size.k,
                    size.n,
                    has_zeros ? inputs[Params::kBZero].max_volume() : 0,
                    b.type()};
  char* const to = emit.alloc<char>(static_cast<uint64_t>(packed.bytes()) + 1);
  raw.pack_panels(packed, 0, packed.panels(), to);
  raw.pack_zeros(packed, to);
  emit.give(to, static_cast<uint64_t>(packed.bytes()));
}

// What a run takes from the workspace, one behind another.
struct Rooms {
  int64_t vectors, a, b, a_sums;
  Rooms(const Descs& inputs, const Matrices& size, const QuantizedPacked& packed, bool packs)
      : vectors(QuantizedVectors{packed.padded()}.bytes()),
        a(must_copy(inputs, size) ? whole_lines(size.a_batch * size.m * size.padded()) : 0),
        b(packs ? packed.bytes() : 0),
        a_sums(a_sums_bytes(packed, size.m + kRowsOfItem)) {}
  int64_t bytes() const { return vectors + a + b + a_sums; }
};

template <const QuantizedKernels& kernels>
uint64_t workspace(const Params&, const Descs& inputs, const Descs&, int n_threads) {
  const Matrices size(inputs);
  const Rooms rooms(inputs, size, packed_of(inputs, size), !is_packed_early(inputs, size));
  const int64_t slot = tile_slot(kernels, size.m, size.entries());
  return static_cast<uint64_t>(rooms.bytes() + slot * (n_threads > 1 ? n_threads : 1));
}

// Which matrices each one of the batch is made of.
void set_batch(const Descs& inputs, const Matrices& size, State* state) {
  if (size.batch == 1) {
    state->a_at.assign(1, 0);
    state->b_at.assign(1, 0);
    return;
  }
  const Desc a = inputs[Params::kA], b = inputs[Params::kB];
  for (int64_t i = 0; i < size.batch; ++i) {
    int64_t rest = i, a_step = 1, b_step = 1, a_at = 0, b_at = 0;
    for (int axis = a.rank() - 3; axis >= 0; --axis) {
      const int64_t of_a = a.max()[axis], of_b = b.max()[axis], extent = of_a == 1 ? of_b : of_a;
      const int64_t place = rest % extent;
      rest /= extent;
      a_at += of_a == 1 ? 0 : place * a_step;
      b_at += of_b == 1 ? 0 : place * b_step;
      a_step *= of_a;
      b_step *= of_b;
    }
    state->a_at.push_back(a_at);
    state->b_at.push_back(b_at);
  }
}

State plan(const QuantizedKernels& kernels, const Params& params, const Descs& inputs, const Descs& outputs,
           const RunSetup& setup) {
  const Matrices size(inputs);
  State state;
  state.kernels = &kernels;
  state.limits = {params.low, params.high};
  state.packed = packed_of(inputs, size);
  state.k = size.k;
  state.n = size.n;
  state.rows_of_a = size.a_batch * size.m;
  state.packs = setup.packed_bytes() == 0 || !is_packed_early(inputs, size);
  state.copies_a = must_copy(inputs, size);
  if (outputs[0].max_volume() == 0) return state;
  if (!state.packs && setup.packed_bytes() != static_cast<uint64_t>(state.packed.bytes())) {
    fail(DT_PLAN_CORRUPT, "the packed matrix has %llu bytes, these extents need %lld",
         static_cast<unsigned long long>(setup.packed_bytes()), static_cast<long long>(state.packed.bytes()));
  }
  const Rooms rooms(inputs, size, state.packed, state.packs);
  state.a_bytes_at = rooms.vectors;
  state.b_bytes_at = rooms.vectors + rooms.a;
  state.a_sums_at = state.b_bytes_at + rooms.b;
  if (static_cast<int64_t>(setup.workspace_bytes()) < rooms.bytes()) {
    fail(DT_PLAN_CORRUPT, "a workspace of %llu bytes is too small",
         static_cast<unsigned long long>(setup.workspace_bytes()));
  }
  set_batch(inputs, size, &state);
  for (int64_t e = 0; e < size.entries(); ++e) state.offsets.push_back(e * kQuantizedEntry);
  QuantizedArgs& args = state.args;
  const int64_t sets = (state.packed.panels() + kernels.panels - 1) / kernels.panels;
  int64_t rows = kRowsOfItem;  // fewer where there would be too few items for the threads
  while (rows > 14 && sets * ((size.m + rows - 1) / rows) < 4 * setup.n_threads()) rows /= 2;
  args.images = args.groups = 1;
  args.pixels = size.m < rows ? size.m : rows;
  args.rows = (size.m + args.pixels - 1) / args.pixels;
  args.last_pixels = size.m - (args.rows - 1) * args.pixels;
  args.a_pixel = state.copies_a ? size.padded() : size.k;
  args.a_row = args.pixels * args.a_pixel;
  args.entries = size.entries();
  args.columns = args.all_columns = size.n;
  args.y_pixel = size.n;
  args.y_row = args.pixels * size.n;
  args.y_panel = kQuantizedColumns;
  const double depth = static_cast<double>(size.padded());
  state.copying = cut(state.rows_of_a, depth / 8, 1, setup.n_threads());
  state.packing = cut(state.packed.panels(), depth * kQuantizedColumns, 1, setup.n_threads());
  state.summing = cut(args.rows, static_cast<double>(args.pixels) * depth, 1, setup.n_threads());
  const double work = static_cast<double>(args.pixels * kernels.panels * kQuantizedColumns) * depth / 16;
  state.pieces.pieces = cut(sets * args.rows, work, 1, setup.n_threads());
  state.slots_at = rooms.bytes();
  if (!kernels.tiles) return state;
  args.is_direct = args.a_pixel % (kEntriesOfTile * kQuantizedEntry) == 0 && size.m >= kTileOfPixels;
  const int64_t room = static_cast<int64_t>(setup.workspace_bytes()) - state.slots_at;
  state.pieces = cut_into_tiles(kernels, setup.n_threads(), room, &args);
  return state;
}

void enqueue(const Params&, State& state, const Run& run) {
  if (state.offsets.empty() && state.args.pixels == 0) return;
  const Tensor a = run.input(Params::kA), b = run.input(Params::kB), y = run.output(0);
  const QuantizedKernels& kernels = *state.kernels;
  char* const workspace = run.workspace<char>();
  const uint8_t* rows = a.data<const uint8_t>();
  if (state.copies_a) {
    const uint8_t flip = a.type() == DataType::kINT8 ? 0x80 : 0;
    uint8_t* const to = reinterpret_cast<uint8_t*>(workspace + state.a_bytes_at);
    const QuantizedRows copy = {rows, to, flip, state.k, state.args.a_pixel};
    run_pieces(run, state.copying, [&](int64_t first, int64_t last) { kernels.rows(copy, first, last); });
    rows = to;
  }
  const bool has_zeros = run.has_input(Params::kBZero);
  const int64_t m = (state.args.rows - 1) * state.args.pixels + state.args.last_pixels;
  const int64_t y_bytes = y.type() == DataType::kINT32 || y.type() == DataType::kFLOAT ? 4 : 1;
  const char* packed = run.packed<char>();
  for (size_t i = 0; i < state.a_at.size(); ++i) {
    if (state.packs && (i == 0 || state.b_at[i] != state.b_at[i - 1])) {
      char* const to = workspace + state.b_bytes_at;
      const RawB raw = {b.data<const uint8_t>() + state.b_at[i] * state.k * state.n,
                        has_zeros ? run.input(Params::kBZero).data<const uint8_t>() : nullptr,
                        state.k,
                        state.n,
                        has_zeros ? run.input(Params::kBZero).volume() : 0,
                        b.type()};
      const QuantizedPack pack = {raw.b,
                                  reinterpret_cast<int8_t*>(to),
                                  reinterpret_cast<int32_t*>(to + state.packed.sums_at()),
                                  static_cast<uint8_t>(b.type() == DataType::kUINT8 ? 0x80 : 0),
                                  state.k,
                                  state.n,
                                  state.packed.entries};
      run_pieces(run, state.packing, [&](int64_t first, int64_t last) { kernels.pack(pack, first, last); });
      if (i == 0) raw.pack_zeros(state.packed, to);  // the same for all
      packed = to;
    }
    QuantizedArgs& args = state.args;
    if (i == 0 || state.packs) {
      args.finish = finish_of(run, kInputs, state.limits, state.packed, packed, state.k, workspace + state.vectors_at);
    }
    args.a = rows + state.a_at[i] * m * args.a_pixel;
    args.offsets = state.offsets.data();
    args.b = reinterpret_cast<const int8_t*>(packed);
    args.ones = args.b + state.packed.ones_at();
    args.a_sums = reinterpret_cast<int32_t*>(workspace + state.a_sums_at);
    if (args.finish.b_zeros) {
      run_pieces(run, state.summing, [&](int64_t first, int64_t last) { kernels.a_sums(args, first, last); });
    }
    args.y = y.data<char>() + static_cast<int64_t>(i) * m * state.n * y_bytes;
    run_sums(run, kernels, state.pieces, args, workspace + state.slots_at);
  }
}

template <const QuantizedKernels& kernels>
State plan_with(const Params& params, const Descs& inputs, const Descs& outputs, const RunSetup& setup) {
  return plan(kernels, params, inputs, outputs, setup);
}

// By type of y, then those of a and b.
#define A_TYPES "i8|u8|i8|u8"
#define B_TYPES "i8|i8|u8|u8"
#define FOUR(type) type "|" type "|" type "|" type
#define TYPES_OF(y, bias, y_zero) \
  A_TYPES " " B_TYPES " " A_TYPES " " B_TYPES " " FOUR("f32") " " FOUR(bias) " " FOUR(y_zero) " -> " FOUR(y)

#define ROW_OF(isa, features, y, bias, y_zero)          \
  {.tactic = "dot_" #isa "_" y,                         \
   .needs = features,                                   \
   .types = TYPES_OF(y, bias, y_zero),                  \
   .formats = "linear",                                 \
   .prepare = prepare,                                  \
   .workspace = workspace<isa##_quantized>,             \
   .enqueue = enqueue,                                  \
   .replaces = inputs_bits(Params::kB, Params::kBZero), \
   .plan = plan_with<isa##_quantized>},
#define ROWS_OF(isa, features)              \
  ROW_OF(isa, features, "i32", "i32", "u8") \
  ROW_OF(isa, features, "f32", "f32", "u8") \
  ROW_OF(isa, features, "i8", "i32", "i8")  \
  ROW_OF(isa, features, "u8", "i32", "u8")

constexpr Row<Params, State> kRows[] = {DOVETAIL_EACH_QUANTIZED_ISA(ROWS_OF)};

}  // namespace

DOVETAIL_IMPLEMENTS("QuantizedMatrixMultiply@1#cpu", Params, kRows)
