// SPDX-License-Identifier: Apache-2.0
// The algorithms of matrix products, compiled once per instruction set, for all layers that are matrix products.
// Instruction sets: all, avx512bf16, amx.
#ifndef DOVETAIL_KERNELS_GEMM_CPU_GENERIC_HPP
#define DOVETAIL_KERNELS_GEMM_CPU_GENERIC_HPP

#include "dovetail/epilogue_tile.hpp"
#include "kernels/gemm/args.hpp"
#include "kernels/gemm/dots.hpp"
#include "kernels/gemm/pack.hpp"
#include "kernels/gemm/tile.hpp"

namespace DT_ISA {
namespace {

static_assert(kTile == kGemmTile, "rows count panels of this size");
static_assert(kGemmDepth == kSumBlock, "a piece of k is one block of the sum");

inline float bias_of(const GemmArgs& args, int64_t n) {
  return read_float(args.bias, args.bias_type, n * args.bias_step);
}

// What a tile of sums still needs before it is y: what y holds, in float32, the bias, and the epilogue.
struct Rest {
  bool adds, has_bias, has_epilogue;
  static Rest of(const GemmArgs& args) { return {false, args.bias != nullptr, args.epilogue != nullptr}; }
};

// Where rows of a tile of y are and how its columns lie.
struct Target {
  const GemmArgs& args;
  int64_t index, batch;  // of the batch, and where it begins
  bool is_unit;
  explicit Target(const GemmArgs& a, int64_t at)
      : args(a), index(at), batch(gemm_offset(a.batch, kGemmY, at)), is_unit(gemm_is_unit(a.n, kGemmY)) {}

  // Where a tile of y is that registers can be stored to, and loaded from; null if its rows or columns lie otherwise.
  float* place(int64_t m, int64_t n0) const {
    if (args.type != kF32 || !is_unit || args.m.rank > 1) return nullptr;
    return static_cast<float*>(args.y) + batch + gemm_offset(args.m, kGemmY, m) + n0;
  }

  // Values are columns [n0, n0 + n) of rows [m, m + rows), `pitch` apart.
  void write(int64_t m, int64_t rows, int64_t n0, int64_t n, float* values, int64_t pitch, const Rest& rest) const {
    if (args.type == kF32 && is_unit && args.m.rank <= 1 && n <= kTile) {
      return write_rows(m, rows, n0, n, values, pitch, rest);
    }
    int64_t offsets[kPanelRows];
    Walk row(args.m, kGemmY, m);
    for (int64_t i = 0; i < rows; ++i, row.next()) offsets[i] = batch + row.offset;
    for (int64_t i = 0; i < rows; ++i) {
      float* const v = values + i * pitch;
      if (rest.adds && is_unit) add(v, static_cast<const float*>(args.y) + offsets[i] + n0, n);
      if (rest.has_bias) add_bias(v, n0, n);
    }
    if (rest.has_epilogue) finish(m, rows, n0, n, values, pitch, offsets);
    for (int64_t i = 0; i < rows; ++i) {
      float* const v = values + i * pitch;
      if (is_unit && n == kTile && args.type == kF32) {
        float* const y = static_cast<float*>(args.y) + offsets[i] + n0;
        store(y, load(v));
        store(y + kLanes, load(v + kLanes));
      } else if (is_unit) {
        store_floats(v, args.y, args.type, offsets[i] + n0, n);
      } else {
        Walk column(args.n, kGemmY, n0);
        for (int64_t c = 0; c < n; ++c, column.next()) {
          store_floats(v + c, args.y, args.type, offsets[i] + column.offset, 1);
        }
      }
    }
  }

 private:
  // The same for a tile of float32 rows.
  void write_rows(int64_t m, int64_t rows, int64_t n0, int64_t n, float* values, int64_t pitch,
                  const Rest& rest) const {
    const int64_t step = gemm_step(args.m, kGemmY), first = batch + gemm_offset(args.m, kGemmY, m);
    float* const y = static_cast<float*>(args.y) + first + n0;
    for (int64_t i = 0; rest.adds && i < rows; ++i) add(values + i * pitch, y + i * step, n);
    for (int64_t i = 0; rest.has_bias && i < rows; ++i) add_bias(values + i * pitch, n0, n);
    if (rest.has_epilogue) finish(m, rows, n0, n, values, pitch, &first);
    const int left = static_cast<int>(n % kLanes);
    for (int64_t i = 0; i < rows; ++i) {
      const float* const from = values + i * pitch;
      float* const to = y + i * step;
      if (n >= kLanes) store(to, load(from));
      if (n == kTile) store(to + kLanes, load(from + kLanes));
      if (left > 0) store_lanes(to + n - left, left, load(from + n - left));
    }
  }
  static void add(float* v, const float* y, int64_t n) {
    for (int64_t i = 0; i < n; ++i) v[i] += y[i];
  }
  void add_bias(float* v, int64_t n0, int64_t n) const {
    if (args.bias_type == kF32 && args.bias_step == 1) return add(v, static_cast<const float*>(args.bias) + n0, n);
    for (int64_t i = 0; i < n; ++i) v[i] += bias_of(args, n0 + i);
  }
  void finish(int64_t m, int64_t rows, int64_t n0, int64_t n, float* values, int64_t pitch,
              const int64_t* offsets) const {
    EpilogueTile tile = {values, pitch, static_cast<int>(rows), static_cast<int>(n)};
    if (args.m.rank <= 1) {
      tile.offset = offsets[0] + n0;
      tile.row_step = gemm_step(args.m, kGemmY);
    } else {
      tile.offset = n0;
      tile.row_offsets = offsets;
    }
    tile.channel = n0;
    tile.column_channel = 1;
    if (!args.epilogue_by_row) return apply_epilogue(*args.epilogue, tile);
    tile.rows = 1;
    for (int64_t i = 0; i < rows; ++i, tile.values += pitch) {
      tile.image = index * args.m.n + m + i;
      apply_epilogue(*args.epilogue, tile);
      if (tile.row_offsets) {
        ++tile.row_offsets;
      } else {
        tile.offset += tile.row_step;
      }
    }
  }
};

// Rows of a as the products read them, of slots of k.
struct Rows {
  const float* v;
  int64_t step;
};

// Where to read a in place: null if it has to be copied. Rows whose distance is a multiple of half a page are in the same
// few sets of a cache.
inline const float* rows_in_place(const GemmArgs& args, int64_t from) {
  const bool is_near = kTerms == 1 && args.a_type == kF32 && args.m.rank <= 1 && gemm_is_unit(args.k, kGemmA);
  if (!is_near || (args.m.n > 4 && gemm_step(args.m, kGemmA) % 512 == 0)) return nullptr;
  return static_cast<const float*>(args.a) + from;
}

// Rows [m0, m1) and k [k0, k1) of a, in place or in the scratch.
inline Rows rows_of(const GemmArgs& args, int64_t from, int64_t m0, int64_t m1, int64_t k0, int64_t k1,
                    float* scratch) {
  const float* const a = rows_in_place(args, from);
  const int64_t a_m = gemm_step(args.m, kGemmA);
  if (a) return {a + m0 * a_m + k0, a_m};
  const Operand x = {args.a, args.a_type, kGemmA, from, args.m, args.k};
  const int64_t step = gemm_row_floats(slots_of(k1 - k0));
  if (gemm_is_unit(args.m, kGemmA) && args.m.n > 1) {
    copy_rows_across(x, m0, m1 - m0, k0, k1, scratch, step);
  } else {
    copy_rows(x, m0, m1 - m0, k0, k1, scratch, step);
  }
  return {scratch, step};
}

// Computes a tile of any depth into t.out; products deeper than kSumBlock are summed in blocks.
inline void multiply_any(MultiplyTile run, TileArgs t, int64_t rows) {
  if (t.depth <= kSumBlock) return run(t);
  const int64_t depth = t.depth;
  Totals<kPanelRows * kTile> totals(rows * kTile);
  for (int64_t k = 0; k < depth; k += kSumBlock, t.a += kSumBlock, t.b += kSumBlock * t.b_k) {
    t.depth = least(kSumBlock, depth - k);
    run(t);
    totals.add(t.out);
    t.n_ahead = 0;
  }
  totals.read(t.out);
}

// Sums of pieces of k that belong together, before y takes them. False while there is more to come.
inline bool add_up(float* sums, float* out, int64_t size, bool is_first, bool ends) {
  if (is_first) {
    if (!ends) memcpy(sums, out, static_cast<size_t>(size) * sizeof(float));
    return ends;
  }
  float* const to = ends ? out : sums;
#pragma GCC ivdep
  for (int64_t i = 0; i < size; ++i) to[i] = out[i] + sums[i];
  return ends;
}

// sums[0, n) += sum over r rows of b, b_k apart, times a
template <int r>
void add_scaled_rows(const float* a, const float* b, int64_t b_k, int64_t n, float* sums) {
  VecF w[r];
#pragma GCC unroll 8
  for (int k = 0; k < r; ++k) w[k] = splat(a[k]);
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    VecF even = load(sums + i), odd = VecF{};
#pragma GCC unroll 8
    for (int k = 0; k < r; ++k) (k % 2 == 0 ? even : odd) += w[k] * load(b + k * b_k + i);
    store(sums + i, even + odd);
  }
  for (; i < n; ++i) {
    for (int k = 0; k < r; ++k) sums[i] += a[k] * b[k * b_k + i];
  }
}

// sums[0, n) += a * b[0, n)
inline void add_scaled(float a, const float* b, int64_t n, float* sums) {
  for (int64_t i = 0; i < n; ++i) sums[i] += a * b[i];
}

// Columns [n0, n0 + n) of a row of y, where b has neighbours in n.
template <int64_t most>
void sum_rows(const GemmArgs& args, int64_t batch, int64_t n0, int64_t n, float* sums) {
  constexpr int kRows = 8;
  const int64_t a_from = gemm_offset(args.batch, kGemmA, batch), b_from = gemm_offset(args.batch, kGemmB, batch);
  float a[kGemmDepth], b[most];
  Totals<most> totals(n);
  Walk a_k(args.k, kGemmA, 0), b_k(args.k, kGemmB, 0);
  const bool in_place = args.b_type == kF32 && args.k.rank <= 1;
  for (int64_t k0 = 0; k0 < args.k.n; k0 += kGemmDepth) {
    const int64_t depth = least(kGemmDepth, args.k.n - k0), step = gemm_step(args.k, kGemmB);
    for (int64_t k = 0; k < depth; ++k, a_k.next()) a[k] = read_float(args.a, args.a_type, a_from + a_k.offset);
    for (int64_t i = 0; i < n; ++i) sums[i] = 0;
    int64_t k = 0;
    if (in_place) {
      const float* const row = static_cast<const float*>(args.b) + b_from + k0 * step + n0;
      for (; k + kRows <= depth; k += kRows) add_scaled_rows<kRows>(a + k, row + k * step, step, n, sums);
      for (; k < depth; ++k) add_scaled_rows<1>(a + k, row + k * step, step, n, sums);
    }
    for (; k < depth; ++k, b_k.next()) {
      load_floats(args.b, args.b_type, b_from + b_k.offset + n0, b, n);
      add_scaled(a[k], b, n, sums);
    }
    totals.add(sums);
  }
  totals.read(sums);
}

// The same where b has neighbours in k. A chain of additions of dot is a block of the sum.
template <int64_t most>
void sum_columns(const GemmArgs& args, int64_t batch, int64_t n0, int64_t n, float* sums) {
  constexpr int64_t kDepth = 4096;
  constexpr int64_t kShort = 16 * kLanes;  // rows whose sum of lanes would take longer than their products
  static_assert(kDepth <= 4 * kLanes * kSumBlock, "dot has that many chains");
  const int64_t a_from = gemm_offset(args.batch, kGemmA, batch), b_from = gemm_offset(args.batch, kGemmB, batch);
  float a[kDepth], b[kDepth];
  Totals<most> totals(n);
  Walk a_k(args.k, kGemmA, 0);
  for (int64_t k0 = 0; k0 < args.k.n; k0 += kDepth) {
    const int64_t depth = least(kDepth, args.k.n - k0);
    for (int64_t k = 0; k < depth; ++k, a_k.next()) a[k] = read_float(args.a, args.a_type, a_from + a_k.offset);
    if (args.b_type == kF32 && args.n.rank <= 1 && depth <= kShort && depth % kLanes == 0) {
      const int64_t step = gemm_step(args.n, kGemmB);
      dot_rows(a, depth, static_cast<const float*>(args.b) + b_from + k0 + n0 * step, step, n, sums);
      totals.add(sums);
      continue;
    }
    Walk column(args.n, kGemmB, n0);
    for (int64_t i = 0; i < n; ++i, column.next()) {
      const int64_t at = b_from + column.offset + k0;
      if (args.b_type == kF32) {
        sums[i] = dot(a, static_cast<const float*>(args.b) + at, depth);
      } else {
        load_floats(args.b, args.b_type, at, b, depth);
        sums[i] = dot(a, b, depth);
      }
    }
    totals.add(sums);
  }
  totals.read(sums);
}

// Sums and products wrap around; those of int8 are exact in 32 bits.
template <class T, class S>
void exact(const GemmArgs& args, int64_t first, int64_t last) {
  const int64_t columns = (args.n.n + kGemmColumns - 1) / kGemmColumns;
  for (int64_t item = first; item < last; ++item) {
    const int64_t n0 = item % columns * kGemmColumns, n = least(kGemmColumns, args.n.n - n0);
    const int64_t m = item / columns % args.m.n, batch = item / columns / args.m.n;
    S sums[kGemmColumns] = {};
    int64_t b_columns[kGemmColumns];
    Walk walk(args.n, kGemmB, n0);
    for (int64_t i = 0; i < n; ++i, walk.next()) b_columns[i] = walk.offset;
    const bool is_unit = gemm_is_unit(args.n, kGemmB);
    const T* a =
        static_cast<const T*>(args.a) + gemm_offset(args.batch, kGemmA, batch) + gemm_offset(args.m, kGemmA, m);
    const T* b = static_cast<const T*>(args.b) + gemm_offset(args.batch, kGemmB, batch);
    Walk a_k(args.k, kGemmA, 0), b_k(args.k, kGemmB, 0);
    for (int64_t k = 0; k < args.k.n; ++k, a_k.next(), b_k.next()) {
      const S w = static_cast<S>(a[a_k.offset]);
      if (is_unit) {
        const T* row = b + b_k.offset + n0;
        for (int64_t i = 0; i < n; ++i) sums[i] += w * static_cast<S>(row[i]);
      } else {
        for (int64_t i = 0; i < n; ++i) sums[i] += w * static_cast<S>(b[b_k.offset + b_columns[i]]);
      }
    }
    const int64_t row = gemm_offset(args.batch, kGemmY, batch) + gemm_offset(args.m, kGemmY, m);
    Walk y(args.n, kGemmY, n0);
    for (int64_t i = 0; i < n; ++i, y.next()) {
      if (args.type == kI8) {
        const float bias = args.bias ? bias_of(args, n0 + i) : 0.0f;
        static_cast<float*>(args.y)[row + y.offset] =
            static_cast<float>(static_cast<int32_t>(sums[i])) * args.scale + bias;
      } else {
        static_cast<T*>(args.y)[row + y.offset] = static_cast<T>(sums[i]);
      }
    }
  }
}

}  // namespace

void gemm_pack(const GemmArgs& args, const GemmPacked& packed, int64_t first, int64_t last) {
  const int64_t of_batch = packed.last_panel - packed.first_panel;
  for (int64_t item = first; item < last; ++item) {
    const int64_t batch = packed.first_batch + item / of_batch, n0 = (packed.first_panel + item % of_batch) * kTile;
    const Operand x = {args.b, args.b_type, kGemmB, gemm_offset(args.batch, kGemmB, batch), args.n, args.k};
    pack_panel(x, n0, least(kTile, args.n.n - n0), 0, args.k.n, packed.panels + item * slots_of(args.k.n) * kTile);
  }
}

namespace {

// One item of gemm_tiles.
class Tiles {
 public:
  Tiles(const GemmArgs& args, const GemmPacked& packed, int64_t item, float* scratch)
      : args_(args),
        packed_(packed),
        scratch_(scratch),
        blocks_((args.m.n + packed.block - 1) / packed.block),
        of_batch_(packed.last_panel - packed.first_panel),
        split_(item % packed.splits),
        batch_here_(item / packed.splits / blocks_),
        m0_(item / packed.splits % blocks_ * packed.block),
        m1_(least(args.m.n, m0_ + packed.block)),
        p0_(of_batch_ * split_ / packed.splits),
        p1_(of_batch_ * (split_ + 1) / packed.splits),
        target_(args, packed.first_batch + batch_here_),
        in_pieces_(args.type == kF32 && target_.is_unit),
        panels_((m1_ - m0_ + kPanelRows - 1) / kPanelRows) {}

  void run() {
    // What y holds between two pieces of k is float32, and neighbours: else there is one piece.
    const int64_t k_n = args_.k.n, piece = in_pieces_ || k_n == 0 ? kGemmDepth * kTerms : k_n;
    const int64_t group = in_pieces_ && packed_.group > 1 ? packed_.group : 1;
    const int64_t batch = packed_.first_batch + batch_here_;
    const int64_t a_from = gemm_offset(args_.batch, kGemmA, batch), b_from = gemm_offset(args_.batch, kGemmB, batch);
    int64_t k0 = 0, k_group = 0;  // where the group of pieces begins that y takes at once
    do {
      const int64_t k1 = least(k_n, k0 + piece);
      const bool ends = k1 == k_n || k1 - k_group == group * piece;
      const Rows a = rows_of(args_, a_from, m0_, m1_, k0, k1, scratch_);
      for (int64_t p = p0_; p < p1_; ++p) {
        const Panel b = panel(p, k0, k1, b_from);
        if (k1 == k_n) set_bias(b);
        for (int64_t q = 0; q < panels_; ++q) {
          const int64_t m = row(q), rows = row(q + 1) - m;
          multiply(a, b, m, rows, q, p, {k0 == k_group, ends, k_group > 0, k1 == k_n, group > 1});
        }
      }
      k0 += piece;
      if (ends) k_group = k0;
    } while (k0 < k_n);
  }

 private:
  struct Panel {
    const float *v, *next;
    int64_t step, depth, n0, n;
  };
  struct Piece {
    bool is_first, ends, adds, is_last, in_group;
  };

  int64_t row(int64_t q) const { return m0_ + (m1_ - m0_) * q / panels_; }

  Panel panel(int64_t p, int64_t k0, int64_t k1, int64_t b_from) {
    const int64_t n0 = (packed_.first_panel + p) * kTile, n = least(kTile, args_.n.n - n0);
    const int64_t depth = slots_of(k1 - k0);
    if (packed_.panels) {
      const int64_t of_panel = slots_of(args_.k.n) * kTile;
      const float* const b = packed_.panels + (batch_here_ * of_batch_ + p) * of_panel + k0 / kTerms * kTile;
      const float* const next = p + 1 < p1_      ? b + of_panel
                                : k1 < args_.k.n ? b - (p - p0_) * of_panel + depth * kTile
                                                 : nullptr;
      return {b, next, kTile, depth, n0, n};
    }
    const int64_t step = gemm_step(args_.k, kGemmB);
    const float* const b = static_cast<const float*>(args_.b) + b_from + k0 * step + n0;
    if (n == kTile || n == kLanes) return {b, nullptr, step, depth, n0, n};
    pack_panel({args_.b, args_.b_type, kGemmB, b_from, args_.n, args_.k}, n0, n, k0, k1, tail_);
    return {tail_, nullptr, kTile, depth, n0, n};
  }

  // The bias of a panel's columns, as vectors.
  void set_bias(const Panel& b) {
    if (!args_.bias) return;
    if (args_.bias_type == kF32 && args_.bias_step == 1 && b.n == kTile) {
      bias_ = static_cast<const float*>(args_.bias) + b.n0;
      return;
    }
    for (int64_t i = 0; i < kTile; ++i) copied_bias_[i] = i < b.n ? bias_of(args_, b.n0 + i) : 0.0f;
    bias_ = copied_bias_;
  }

  void multiply(const Rows& a, const Panel& b, int64_t m, int64_t rows, int64_t q, int64_t p, const Piece& piece) {
    float out[kPanelRows * kTile];
    TileArgs t = {a.v + (m - m0_) * a.step, a.step, b.v, b.step, b.depth, nullptr, 0, out, kTile};
    if (b.next) {
      const int64_t from = b.depth * q / panels_;
      t.ahead = b.next + from * b.step;
      t.n_ahead = b.depth * (q + 1) / panels_ - from;
    }
    Rest rest = {piece.adds, piece.is_last && args_.bias, piece.is_last && args_.epilogue};
    const MultiplyTile run = tile_for(rows, b.n > kLanes);
    if (kTilesFinish && b.depth <= kSumBlock && !piece.in_group) {
      // The registers take what they can on their way out, and go to y itself if nothing is left to do.
      float* const y = b.n == kTile || b.n == kLanes ? target_.place(m, b.n0) : nullptr;
      const int64_t y_m = gemm_step(args_.m, kGemmY);
      if (rest.has_bias && (y || !rest.adds)) {
        t.bias = bias_;
        rest.has_bias = false;
      }
      if (rest.adds && y) {
        t.before = y;
        t.before_m = y_m;
        rest.adds = false;
      }
      if (y && !rest.has_epilogue) {
        t.out = y;
        t.out_m = y_m;
        return run(t);
      }
    }
    multiply_any(run, t, rows);
    if (piece.in_group) {
      constexpr int64_t kSize = kPanelRows * kTile;
      float* const sums = scratch_ + packed_.sums_at + (q * (p1_ - p0_) + p - p0_) * kSize;
      if (!add_up(sums, out, rows * kTile, piece.is_first, piece.ends)) return;
    }
    target_.write(m, rows, b.n0, b.n, out, kTile, rest);
  }

  const GemmArgs& args_;
  const GemmPacked& packed_;
  float* const scratch_;
  const int64_t blocks_, of_batch_, split_, batch_here_, m0_, m1_, p0_, p1_;
  const Target target_;
  const bool in_pieces_;
  const int64_t panels_;
  const float* bias_ = nullptr;  // kTile floats, of the panel
  float copied_bias_[kTile];
  float tail_[kGemmDepth * kTile];  // the last panel of a b in place, with columns up to a whole one
};

}  // namespace

void gemm_tiles(const GemmArgs& args, const GemmPacked& packed, int64_t first, int64_t last, float* scratch) {
#if defined(__AMX_BF16__)
  const TileScope scope;
#endif
  for (int64_t item = first; item < last; ++item) Tiles(args, packed, item, scratch).run();
}

void gemm_few(const GemmArgs& args, const GemmPacked& packed, int64_t first, int64_t last, float* scratch) {
  const int64_t panels = packed.last_panel, items = (panels + kGemmFewPanels - 1) / kGemmFewPanels;
  const int64_t depth = slots_of(args.k.n), step = depth * kTile, rows = args.m.n, most = few_panels(rows);
  float out[kGemmFewRows * kGemmFewPanels * kTile];
  int64_t has = -1;  // the batch whose rows are copied
  Rows a = {};
  for (int64_t item = first; item < last; ++item) {
    const int64_t batch = item / items, end = least(panels, (item % items + 1) * kGemmFewPanels);
    if (batch != has) a = rows_of(args, gemm_offset(args.batch, kGemmA, batch), 0, rows, 0, args.k.n, scratch);
    has = batch;
    const Target target(args, batch);
    for (int64_t p = item % items * kGemmFewPanels, n = 0; p < end; p += n) {
      n = end - p >= most ? most : end - p >= 2 && most >= 2 ? 2 : 1;
      const MultiplyFew run = few_for(rows, n);
      const float* const b = packed.panels + (batch * panels + p) * step;
      Totals<kGemmFewRows * kGemmFewPanels * kTile> totals(rows * n * kTile);
      for (int64_t k = 0; k < depth; k += kSumBlock) {
        run(a.v + k, a.step, b + k * kTile, step, least(kSumBlock, depth - k), out);
        totals.add(out);
      }
      totals.read(out);
      const int64_t columns = least(n * kTile, args.n.n - p * kTile);
      target.write(0, rows, p * kTile, columns, out, n * kTile, Rest::of(args));
    }
  }
}

// Chunks of one row of y: columns [n0, n0 + n) of a batch.
void gemm_vector(const GemmArgs& args, int64_t first, int64_t last) {
  constexpr int64_t kChunk = 8 * kGemmColumns;  // longer runs of b than an item has: they are fetched ahead of use
  const int64_t columns = (args.n.n + kGemmColumns - 1) / kGemmColumns;
  for (int64_t item = first; item < last;) {
    const int64_t batch = item / columns, n0 = item % columns * kGemmColumns;
    const int64_t n_items = least(least(last - item, columns - item % columns), kChunk / kGemmColumns);
    const int64_t n = least(n_items * kGemmColumns, args.n.n - n0);
    item += n_items;
    float sums[kChunk];
    if (gemm_is_unit(args.n, kGemmB)) {
      sum_rows<kChunk>(args, batch, n0, n, sums);
    } else {
      sum_columns<kChunk>(args, batch, n0, n, sums);
    }
    Target(args, batch).write(0, 1, n0, n, sums, n, Rest::of(args));
  }
}

void gemm_exact(const GemmArgs& args, int64_t first, int64_t last) {
  if (args.type == kI64) return exact<int64_t, uint64_t>(args, first, last);
  if (args.type == kI32) return exact<int32_t, uint32_t>(args, first, last);
  exact<int8_t, int32_t>(args, first, last);
}

}  // namespace DT_ISA

#endif
