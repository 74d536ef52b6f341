// SPDX-License-Identifier: Apache-2.0
// The algorithms of matrix products, compiled once per instruction set, for all layers that are matrix products.
// Instruction sets: all, avx512bf16.
#ifndef DOVETAIL_KERNELS_GEMM_CPU_GENERIC_HPP
#define DOVETAIL_KERNELS_GEMM_CPU_GENERIC_HPP

#include "kernels/gemm/args.hpp"
#include "kernels/simd/convert.hpp"
#include "kernels/simd/multiply.hpp"

namespace DT_ISA {
namespace {

static_assert(kTile == kGemmTile, "rows count panels of this size");
static_assert(kGemmDepth == kSumBlock, "a piece of k is one block of the sum");

inline int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

// Floats that so many k take in a packed row.
inline int64_t slots_of(int64_t k) { return (k + kTerms - 1) / kTerms; }

// Iterates over the values of an index and keeps its offset in one tensor.
struct Walk {
  const GemmGroup& g;
  const int64_t* stride;
  int64_t at[kGemmRank], offset;

  Walk(const GemmGroup& group, int t, int64_t i) : g(group), stride(group.stride[t]), offset(0) {
    for (int axis = g.rank - 1; axis >= 0; --axis) {
      at[axis] = i % g.extent[axis];
      i /= g.extent[axis];
      offset += at[axis] * stride[axis];
    }
  }
  void next() {
    for (int axis = g.rank - 1; axis >= 0; --axis) {
      offset += stride[axis];
      if (++at[axis] < g.extent[axis]) return;
      offset -= at[axis] * stride[axis];
      at[axis] = 0;
    }
  }
};

// to[k - k0][i - i0] for `used` values of an index, zeros up to `width`; from: where the batch begins.
void pack_panel(const void* x, int32_t type, int t, int64_t from, const GemmGroup& index, int64_t i0, int64_t used,
                int64_t width, const GemmGroup& k_index, int64_t k0, int64_t k1, float* to) {
  Walk k(k_index, t, k0);
  if (gemm_is_unit(index, t)) {
    for (int64_t row = k0; row < k1; ++row, k.next(), to += width) {
      load_floats(x, type, from + i0 + k.offset, to, used);
      for (int64_t i = used; i < width; ++i) to[i] = 0;
    }
    return;
  }
  constexpr int kRows = 16;
  int64_t offsets[kTile];
  Walk walk(index, t, i0);
  for (int64_t i = 0; i < used; ++i, walk.next()) offsets[i] = from + walk.offset;
  const bool is_unit = gemm_is_unit(k_index, t);
  float run[kRows];
  int64_t places[kRows];
  for (int64_t row = k0; row < k1; row += kRows, to += kRows * width) {
    const int n = static_cast<int>(least(kRows, k1 - row));
    for (int r = 0; r < n; ++r, k.next()) places[r] = k.offset;
    for (int64_t i = 0; i < used; ++i) {
      if (is_unit && n == kRows) {
        load_floats(x, type, offsets[i] + row, run, kRows);
      } else {
        for (int r = 0; r < n; ++r) run[r] = read_float(x, type, offsets[i] + places[r]);
      }
      for (int r = 0; r < n; ++r) to[r * width + i] = run[r];
    }
    for (int64_t i = used; i < width; ++i) {
      for (int r = 0; r < n; ++r) to[r * width + i] = 0;
    }
  }
}

// The same of bfloat16, in pairs: to[(k - k0) / 2][i - i0] has the elements of k and k + 1, the latter 0 at the end.
inline void pack_pairs(const void* x, int t, int64_t from, const GemmGroup& index, int64_t i0, int64_t used,
                       int64_t width, const GemmGroup& k_index, int64_t k0, int64_t k1, float* to) {
  typedef uint32_t Pair __attribute__((may_alias));
  const uint16_t* const v = static_cast<const uint16_t*>(x) + from;
  int64_t offsets[kTile];
  Walk walk(index, t, i0), k(k_index, t, k0);
  for (int64_t i = 0; i < used; ++i, walk.next()) offsets[i] = walk.offset;
  const bool is_unit = gemm_is_unit(index, t);
  for (int64_t row = k0; row < k1; row += 2, to += width) {
    Pair* const pairs = reinterpret_cast<Pair*>(to);
    const uint16_t* const low = v + k.offset;
    k.next();
    const bool has_high = row + 1 < k1;
    const uint16_t* const high = has_high ? v + k.offset : low;
    const uint32_t mask = has_high ? 0xffffffffu : 0xffffu;
    if (has_high) k.next();
    if (is_unit) {
      for (int64_t i = 0; i < used; ++i) {
        pairs[i] = (low[i0 + i] | static_cast<uint32_t>(high[i0 + i]) << 16) & mask;
      }
    } else {
      for (int64_t i = 0; i < used; ++i) {
        pairs[i] = (low[offsets[i]] | static_cast<uint32_t>(high[offsets[i]]) << 16) & mask;
      }
    }
    for (int64_t i = used; i < width; ++i) pairs[i] = 0;
  }
}

// As the kernels of this instruction set multiply: floats, or pairs of bfloat16 in the room of one.
inline void pack(const void* x, int32_t type, int t, int64_t from, const GemmGroup& index, int64_t i0, int64_t used,
                 int64_t width, const GemmGroup& k_index, int64_t k0, int64_t k1, float* to) {
  if constexpr (kTerms == 2) {
    pack_pairs(x, t, from, index, i0, used, width, k_index, k0, k1, to);
  } else {
    pack_panel(x, type, t, from, index, i0, used, width, k_index, k0, k1, to);
  }
}

inline float bias_of(const GemmArgs& args, int64_t n) {
  return read_float(args.bias, args.bias_type, n * args.bias_step);
}

// Where rows of a tile of y are and how its columns lie.
struct Target {
  const GemmArgs& args;
  int64_t batch;
  bool is_unit;
  explicit Target(const GemmArgs& a, int64_t at)
      : args(a), batch(gemm_offset(a.batch, kGemmY, at)), is_unit(gemm_is_unit(a.n, kGemmY)) {}

  // values[0, n) are columns n0 and on of row m; `adds` to what is there, in float32.
  void write(int64_t m, int64_t n0, int64_t n, float* values, bool adds, bool is_last) const {
    const int64_t row = batch + gemm_offset(args.m, kGemmY, m);
    if (adds && is_unit) {
      const float* y = static_cast<const float*>(args.y) + row + n0;
      for (int64_t i = 0; i < n; ++i) values[i] += y[i];
    }
    if (is_last && args.bias) {
      for (int64_t i = 0; i < n; ++i) values[i] += bias_of(args, n0 + i);
    }
    if (is_unit) return store_floats(values, args.y, args.type, row + n0, n);
    Walk column(args.n, kGemmY, n0);
    for (int64_t i = 0; i < n; ++i, column.next()) store_floats(values + i, args.y, args.type, row + column.offset, 1);
  }
};

// out[m][p] = sum over k of a[m][k] * b[k][p], both where they lie; only `last` lanes of the last vector are there.
template <int m, int v>
void multiply_direct(const float* a, int64_t a_m, int64_t a_k, const float* b, int64_t b_k, int64_t depth, int last,
                     float* out) {
  VecF sum[m][v];
#pragma GCC unroll 16
  for (int i = 0; i < m; ++i) {
#pragma GCC unroll 2
    for (int j = 0; j < v; ++j) sum[i][j] = VecF{};
  }
  for (int64_t k = 0; k < depth; ++k, a += a_k, b += b_k) {
    VecF x[v];
#pragma GCC unroll 2
    for (int j = 0; j < v - 1; ++j) x[j] = load(b + j * kLanes);
    const float* end = b + (v - 1) * kLanes;
    x[v - 1] = last == kLanes ? load(end) : load_lanes(reinterpret_cast<uintptr_t>(end), 0, last, VecF{});
#pragma GCC unroll 16
    for (int i = 0; i < m; ++i) {
      const VecF w = splat(a[i * a_m]);
#pragma GCC unroll 2
      for (int j = 0; j < v; ++j) sum[i][j] += w * x[j];
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < m; ++i) {
#pragma GCC unroll 2
    for (int j = 0; j < v; ++j) store(out + i * kTile + j * kLanes, sum[i][j]);
  }
}

typedef void (*MultiplyDirect)(const float* a, int64_t a_m, int64_t a_k, const float* b, int64_t b_k, int64_t depth,
                               int last, float* out);

template <int m>
inline MultiplyDirect direct_for(int64_t rows, bool is_wide) {
  if (rows == m) return is_wide ? multiply_direct<m, 2> : multiply_direct<m, 1>;
  return direct_for<m - 1>(rows, is_wide);
}
template <>
inline MultiplyDirect direct_for<0>(int64_t, bool) {
  return nullptr;
}

// sums[0, n) += a * b[0, n)
inline void add_scaled(float a, const float* b, int64_t n, float* sums) {
  for (int64_t i = 0; i < n; ++i) sums[i] += a * b[i];
}

// Columns in groups of vectors that stay in registers while k runs.
template <int v>
void add_columns(const float* a, const float* b, int64_t b_k, int64_t depth, float* sums) {
  VecF sum[v];
#pragma GCC unroll 8
  for (int j = 0; j < v; ++j) sum[j] = load(sums + j * kLanes);
  for (int64_t k = 0; k < depth; ++k, b += b_k) {
    const VecF w = splat(a[k]);
#pragma GCC unroll 8
    for (int j = 0; j < v; ++j) sum[j] += w * load(b + j * kLanes);
  }
#pragma GCC unroll 8
  for (int j = 0; j < v; ++j) store(sums + j * kLanes, sum[j]);
}

inline float sum_of(VecF v) {
  float lanes[kLanes], sum = 0;
  store(lanes, v);
  for (int i = 0; i < kLanes; ++i) sum += lanes[i];
  return sum;
}

inline float dot(const float* a, const float* b, int64_t n) {
  VecF sum[4] = {};
  int64_t i = 0;
  for (; i + 4 * kLanes <= n; i += 4 * kLanes) {
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) sum[j] += load(a + i + j * kLanes) * load(b + i + j * kLanes);
  }
  for (; i + kLanes <= n; i += kLanes) sum[0] += load(a + i) * load(b + i);
  float rest = 0;
  for (; i < n; ++i) rest += a[i] * b[i];
  return rest + sum_of((sum[0] + sum[1]) + (sum[2] + sum[3]));
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
    pack(args.b, args.b_type, kGemmB, gemm_offset(args.batch, kGemmB, batch), args.n, n0, least(kTile, args.n.n - n0),
         kTile, args.k, 0, args.k.n, packed.panels + item * slots_of(args.k.n) * kTile);
  }
}

void gemm_packed(const GemmArgs& args, const GemmPacked& packed, int64_t first, int64_t last, float* scratch) {
  const int64_t rows = packed.panel * packed.block, blocks = (args.m.n + rows - 1) / rows;
  const int64_t of_batch = packed.last_panel - packed.first_panel, k_n = args.k.n;
  // What y holds between two pieces of k is float32, and neighbours: else there is one piece.
  const bool in_pieces = args.type == kF32 && gemm_is_unit(args.n, kGemmY);
  const int64_t piece = in_pieces || k_n == 0 ? kGemmDepth : k_n;  // nothing summed is one piece of zeros
  const int64_t group = in_pieces && packed.group > 1 ? packed.group : 1;
  float out[kGemmPanel * kTile];
  for (int64_t item = first; item < last; ++item) {
    const int64_t split = item % packed.splits, m0 = item / packed.splits % blocks * rows;
    const int64_t batch_here = item / packed.splits / blocks, batch = packed.first_batch + batch_here;
    const int64_t p0 = of_batch * split / packed.splits, p1 = of_batch * (split + 1) / packed.splits;
    const int64_t from = gemm_offset(args.batch, kGemmA, batch), m1 = least(args.m.n, m0 + rows);
    const Target target(args, batch);
    int64_t k0 = 0, k_group = 0;  // where the group of pieces begins that y takes at once
    do {
      const int64_t k1 = least(k_n, k0 + piece), depth = k1 - k0;
      const bool ends = k1 == k_n || k1 - k_group == group * piece;
      for (int64_t m = m0; m < m1; m += packed.panel) {
        pack(args.a, args.a_type, kGemmA, from, args.m, m, least(packed.panel, m1 - m), packed.panel, args.k, k0, k1,
             scratch + (m - m0) * slots_of(depth));
      }
      for (int64_t p = p0; p < p1; ++p) {
        const int64_t n0 = (packed.first_panel + p) * kTile, n = least(kTile, args.n.n - n0);
        const float* b = packed.panels + ((batch_here * of_batch + p) * slots_of(k_n) + k0 / kTerms) * kTile;
        const Multiply run = multiply_for<kGemmPanel>(packed.panel, n > kLanes);
        for (int64_t m = m0; m < m1; m += packed.panel) {
          multiply_in_blocks<kGemmPanel>(run, packed.panel, scratch + (m - m0) * slots_of(depth), b, slots_of(depth),
                                         out);
          if (group > 1) {
            const int64_t size = packed.panel * kTile;
            float* const sums = scratch + packed.sums_at + ((m - m0) / packed.panel * (p1 - p0) + p - p0) * size;
            float* const to = ends ? out : sums;
            if (k0 == k_group) {
              if (!ends) memcpy(sums, out, static_cast<size_t>(size) * sizeof(float));
            } else {
#pragma GCC ivdep
              for (int64_t i = 0; i < size; ++i) to[i] = out[i] + sums[i];
            }
            if (!ends) continue;
          }
          for (int64_t i = 0; i < packed.panel && m + i < m1; ++i) {
            target.write(m + i, n0, n, out + i * kTile, k_group > 0, k1 == k_n);
          }
        }
      }
      k0 += piece;
      if (ends) k_group = k0;
    } while (k0 < k_n);
  }
}

void gemm_direct(const GemmArgs& args, int64_t panel, int64_t first, int64_t last) {
  const int64_t panels = (args.m.n + panel - 1) / panel;
  const int64_t a_m = gemm_step(args.m, kGemmA), a_k = gemm_step(args.k, kGemmA), b_k = gemm_step(args.k, kGemmB);
  float out[kGemmPanel * kTile];
  for (int64_t item = first; item < last; ++item) {
    const int64_t m = item % panels * panel, batch = item / panels, rows = least(panel, args.m.n - m);
    const float* a = static_cast<const float*>(args.a) + gemm_offset(args.batch, kGemmA, batch) + m * a_m;
    const float* b = static_cast<const float*>(args.b) + gemm_offset(args.batch, kGemmB, batch);
    const Target target(args, batch);
    for (int64_t n0 = 0; n0 < args.n.n; n0 += kTile) {
      const int64_t n = least(kTile, args.n.n - n0);
      const bool is_wide = n > kLanes;
      const int left = static_cast<int>(is_wide ? n - kLanes : n);
      const MultiplyDirect run = direct_for<kGemmPanel>(rows, is_wide);
      if (args.k.n <= kSumBlock) {
        run(a, a_m, a_k, b + n0, b_k, args.k.n, left, out);
      } else {
        Totals<kGemmPanel * kTile> totals(rows * kTile);
        for (int64_t k = 0; k < args.k.n; k += kSumBlock) {
          run(a + k * a_k, a_m, a_k, b + k * b_k + n0, b_k, least(kSumBlock, args.k.n - k), left, out);
          totals.add(out);
        }
        totals.read(out);
      }
      for (int64_t i = 0; i < rows; ++i) target.write(m + i, n0, n, out + i * kTile, false, true);
    }
  }
}

void gemm_vector(const GemmArgs& args, int64_t first, int64_t last) {
  const int64_t columns = (args.n.n + kGemmColumns - 1) / kGemmColumns;
  const bool by_columns = gemm_is_unit(args.n, kGemmB);
  float a[kGemmDepth], b[kGemmDepth], sums[kGemmColumns];
  for (int64_t item = first; item < last; ++item) {
    const int64_t n0 = item % columns * kGemmColumns, n = least(kGemmColumns, args.n.n - n0), batch = item / columns;
    const int64_t a_from = gemm_offset(args.batch, kGemmA, batch), b_from = gemm_offset(args.batch, kGemmB, batch);
    Totals<kGemmColumns> totals(n);
    Walk a_k(args.k, kGemmA, 0), b_k(args.k, kGemmB, 0);
    for (int64_t k0 = 0; k0 < args.k.n; k0 += kGemmDepth) {
      const int64_t depth = least(kGemmDepth, args.k.n - k0);
      for (int64_t k = 0; k < depth; ++k, a_k.next()) a[k] = read_float(args.a, args.a_type, a_from + a_k.offset);
      for (int64_t i = 0; i < kGemmColumns; ++i) sums[i] = 0;
      if (!by_columns) {
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
      } else if (args.b_type == kF32 && args.k.rank <= 1) {
        const int64_t step = gemm_step(args.k, kGemmB);
        const float* row = static_cast<const float*>(args.b) + b_from + k0 * step + n0;
        int64_t i = 0;
        for (; i + 8 * kLanes <= n; i += 8 * kLanes) add_columns<8>(a, row + i, step, depth, sums + i);
        for (; i + kLanes <= n; i += kLanes) add_columns<1>(a, row + i, step, depth, sums + i);
        for (; i < n; ++i) {
          for (int64_t k = 0; k < depth; ++k) sums[i] += a[k] * row[k * step + i];
        }
      } else {
        for (int64_t k = 0; k < depth; ++k, b_k.next()) {
          load_floats(args.b, args.b_type, b_from + b_k.offset + n0, b, n);
          add_scaled(a[k], b, n, sums);
        }
      }
      totals.add(sums);
    }
    totals.read(sums);
    Target(args, batch).write(0, n0, n, sums, false, true);
  }
}

void gemm_exact(const GemmArgs& args, int64_t first, int64_t last) {
  if (args.type == kI64) return exact<int64_t, uint64_t>(args, first, last);
  if (args.type == kI32) return exact<int32_t, uint32_t>(args, first, last);
  exact<int8_t, int32_t>(args, first, last);
}

}  // namespace DT_ISA

#endif
