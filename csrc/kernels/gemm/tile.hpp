// SPDX-License-Identifier: Apache-2.0
// Products of rows of a and panels of b, in registers. Compiled once per instruction set.
#ifndef DOVETAIL_KERNELS_GEMM_TILE_HPP
#define DOVETAIL_KERNELS_GEMM_TILE_HPP

#include "kernels/gemm/args.hpp"
#include "kernels/simd/multiply.hpp"
#if defined(__AMX_BF16__)
#include "kernels/simd/tiles.hpp"
#endif

namespace DT_ISA {
namespace {

// What takes the room of a float in a and b: a float, or a pair of bfloat16, neighbours in k. Of pairs, denormal elements
// count as zeros, and sums that would be denormal become zeros: so the instruction has it.
#if defined(__AVX512BF16__)
inline VecF repeat(const float* slot) {
  int32_t bits;
  memcpy(&bits, slot, 4);
  return static_cast<VecF>(_mm512_castsi512_ps(_mm512_set1_epi32(bits)));
}
inline void multiply_add(VecF* sum, VecF w, VecF x) {
  *sum = static_cast<VecF>(_mm512_dpbf16_ps(static_cast<__m512>(*sum), (__m512bh)w, (__m512bh)x));
}
#else
inline VecF repeat(const float* slot) { return splat(*slot); }
inline void multiply_add(VecF* sum, VecF w, VecF x) { *sum += w * x; }
#endif

inline void prefetch(const float* p) { __builtin_prefetch(p, 0, 3); }

// Where a tile is computed: `depth` slots of rows of a, a_m apart, and of kTile neighbours of b, b_k apart.
struct TileArgs {
  const float* a;
  int64_t a_m;
  const float* b;
  int64_t b_k, depth;
  const float* ahead;  // rows of b that are fetched into the cache meanwhile, `n_ahead` of them, b_k apart
  int64_t n_ahead;
  float* out;
  int64_t out_m;
  const float* before = nullptr;  // if given, sums so far, which are added: rows before_m apart
  int64_t before_m = 0;
  const float* bias = nullptr;  // if given, kTile floats that each row gets at last
};

// What a tile of sums becomes. One pass from the registers: K may be so short that another one would take a tenth.
template <int m, int v>
inline __attribute__((always_inline)) void store_tile(const TileArgs& t, VecF (&sum)[m][v]) {
  if (t.before) {
    const float* from = t.before;
#pragma GCC unroll 32
    for (int i = 0; i < m; ++i, from += t.before_m) {
#pragma GCC unroll 2
      for (int j = 0; j < v; ++j) sum[i][j] = load(from + j * kLanes) + sum[i][j];
    }
  }
  if (t.bias) {
    VecF bias[v];
#pragma GCC unroll 2
    for (int j = 0; j < v; ++j) bias[j] = load(t.bias + j * kLanes);
#pragma GCC unroll 32
    for (int i = 0; i < m; ++i) {
#pragma GCC unroll 2
      for (int j = 0; j < v; ++j) sum[i][j] += bias[j];
    }
  }
  float* out = t.out;
#pragma GCC unroll 32
  for (int i = 0; i < m; ++i, out += t.out_m) {
#pragma GCC unroll 2
    for (int j = 0; j < v; ++j) store(out + j * kLanes, sum[i][j]);
  }
}

#if defined(__AMX_BF16__)
// Sums of 16 m rows and 16 v columns. A tile has 16 slots of rows of a; of b, 16 slots of 16 columns. Rows that are read
// behind the last one of a make sums that are never read.
template <int m, int v>
inline void add_tiles(const float* a, int64_t a_m, const float* b, int64_t b_k) {
  const int64_t a_step = a_m * 4, b_step = b_k * 4;  // bytes
  _tile_loadd(4, a, a_step);
  _tile_loadd(6, b, b_step);
  _tile_dpbf16ps(0, 4, 6);
  if constexpr (m == 2) {
    _tile_loadd(5, a + kTileRows * a_m, a_step);
    _tile_dpbf16ps(2, 5, 6);
  }
  if constexpr (v == 2) {
    _tile_loadd(7, b + kLanes, b_step);
    _tile_dpbf16ps(1, 4, 7);
    if constexpr (m == 2) _tile_dpbf16ps(3, 5, 7);
  }
}

// The same of fewer than 16 slots: zeros take the place of the others, and not the memory there, which may hold nan.
template <int m, int v>
__attribute__((noinline)) void add_part_of_tiles(const float* a, int64_t a_m, const float* b, int64_t b_k,
                                                 int64_t depth) {
  alignas(64) float part_a[m * kTileRows * kLanes] = {}, part_b[kTileRows * kTile] = {};
  const size_t row = static_cast<size_t>(depth) * sizeof(float);
  for (int i = 0; i < m * kTileRows; ++i) memcpy(part_a + i * kLanes, a + i * a_m, row);
  for (int64_t k = 0; k < depth; ++k) memcpy(part_b + k * kTile, b + k * b_k, v * kLanes * sizeof(float));
  finish_stores(part_a);
  finish_stores(part_b);
  add_tiles<m, v>(part_a, kLanes, part_b, kTile);
}

template <int m, int v>
void multiply_tile(const TileArgs& t) {
  _tile_zero(0);
  if constexpr (v == 2) _tile_zero(1);
  if constexpr (m == 2) _tile_zero(2);
  if constexpr (m == 2 && v == 2) _tile_zero(3);
  finish_stores(t.a);
  finish_stores(t.b);
  const float *a = t.a, *b = t.b;
  int64_t k = 0;
  for (; k + kTileRows <= t.depth; k += kTileRows, a += kTileRows, b += kTileRows * t.b_k) {
    add_tiles<m, v>(a, t.a_m, b, t.b_k);
  }
  if (k < t.depth) add_part_of_tiles<m, v>(a, t.a_m, b, t.b_k, t.depth - k);
  const int64_t step = t.out_m * 4;
  _tile_stored(0, t.out, step);
  if constexpr (v == 2) _tile_stored(1, t.out + kLanes, step);
  if constexpr (m == 2) _tile_stored(2, t.out + kTileRows * t.out_m, step);
  if constexpr (m == 2 && v == 2) _tile_stored(3, t.out + kTileRows * t.out_m + kLanes, step);
}
#else
template <int m, int v>
void multiply_tile(const TileArgs& t) {
  VecF sum[m][v];
#pragma GCC unroll 16
  for (int i = 0; i < m; ++i) {
#pragma GCC unroll 2
    for (int j = 0; j < v; ++j) sum[i][j] = VecF{};
  }
  const int64_t a_m = t.a_m, b_k = t.b_k, depth = t.depth, n_ahead = t.n_ahead;
  const float *b = t.b, *ahead = t.ahead, *rows[(m + 2) / 3];  // three rows share a register for their address
#pragma GCC unroll 16
  for (int r = 0; r < (m + 2) / 3; ++r) rows[r] = t.a + 3 * r * a_m;
  for (int64_t k = 0; k < depth; ++k, b += b_k) {
    VecF x[v];
#pragma GCC unroll 2
    for (int j = 0; j < v; ++j) x[j] = load(b + j * kLanes);
    if (k < n_ahead) {
      prefetch(ahead);
      if (kLanes * v > 16) prefetch(ahead + 16);
      ahead += b_k;
    }
#pragma GCC unroll 16
    for (int i = 0; i < m; ++i) {
      const VecF w = repeat(rows[i / 3] + i % 3 * a_m + k);
#pragma GCC unroll 2
      for (int j = 0; j < v; ++j) multiply_add(&sum[i][j], w, x[j]);
    }
  }
  store_tile(t, sum);
}
#endif

typedef void (*MultiplyTile)(const TileArgs& t);

#if defined(__AMX_BF16__)
constexpr int64_t kPanelRows = kGemmTilesPanel;
constexpr bool kTilesFinish = false;  // whether functions for tiles add what is `before`, and a bias

inline MultiplyTile tile_for(int64_t rows, bool is_wide) {
  if (rows > kTileRows) return is_wide ? multiply_tile<2, 2> : multiply_tile<2, 1>;
  return is_wide ? multiply_tile<1, 2> : multiply_tile<1, 1>;
}
#else
constexpr int64_t kPanelRows = kGemmPanel;
constexpr bool kTilesFinish = true;

template <int m = kPanelRows>
inline MultiplyTile tile_for(int64_t rows, bool is_wide) {
  if constexpr (m > 0) {
    if (rows == m) return is_wide ? multiply_tile<m, 2> : multiply_tile<m, 1>;
    return tile_for<m - 1>(rows, is_wide);
  }
  return nullptr;
}
#endif

// out[i][panel][kTile] = sums of m rows, a_m apart, and p packed panels of b, `step` apart: what is read of b is read
// once, in p streams.
template <int m, int p>
void multiply_few(const float* a, int64_t a_m, const float* b, int64_t step, int64_t depth, float* out) {
  constexpr int64_t kAhead = 24;  // rows of a panel: more than what the memory delivers while it is being asked
  VecF sum[m][2 * p];
#pragma GCC unroll 4
  for (int i = 0; i < m; ++i) {
#pragma GCC unroll 8
    for (int j = 0; j < 2 * p; ++j) sum[i][j] = VecF{};
  }
  for (int64_t k = 0; k < depth; ++k, b += kTile) {
    VecF w[m];
#pragma GCC unroll 4
    for (int i = 0; i < m; ++i) w[i] = repeat(a + i * a_m + k);
#pragma GCC unroll 8
    for (int j = 0; j < 2 * p; ++j) {
      const float* const from = b + j / 2 * step + j % 2 * kLanes;
      if (kLanes == 16 || j % 2 == 0) prefetch(from + kAhead * kTile);
      const VecF x = load(from);
#pragma GCC unroll 4
      for (int i = 0; i < m; ++i) multiply_add(&sum[i][j], w[i], x);
    }
  }
#pragma GCC unroll 4
  for (int i = 0; i < m; ++i) {
#pragma GCC unroll 8
    for (int j = 0; j < 2 * p; ++j) store(out + i * p * kTile + j * kLanes, sum[i][j]);
  }
}

typedef void (*MultiplyFew)(const float* a, int64_t a_m, const float* b, int64_t step, int64_t depth, float* out);

// Panels that this many rows multiply at once: their sums stay in registers.
inline int64_t few_panels(int64_t rows) {
  return rows == 1 || (rows == 2 && kRegisters == 32) ? 4 : rows <= 3 ? 2 : kRegisters == 32 ? 2 : 1;
}
inline MultiplyFew few_for(int64_t rows, int64_t panels) {
  static constexpr MultiplyFew kFew[kGemmFewRows][3] = {
      {multiply_few<1, 1>, multiply_few<1, 2>, multiply_few<1, 4>},
      {multiply_few<2, 1>, multiply_few<2, 2>, kRegisters == 32 ? multiply_few<2, 4> : nullptr},
      {multiply_few<3, 1>, multiply_few<3, 2>, nullptr},
      {multiply_few<4, 1>, kRegisters == 32 ? multiply_few<4, 2> : nullptr, nullptr}};
  return kFew[rows - 1][panels / 2];
}

}  // namespace
}  // namespace DT_ISA

#endif
