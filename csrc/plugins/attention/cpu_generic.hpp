// SPDX-License-Identifier: Apache-2.0
// The algorithm of Attention, compiled once per instruction set: for a panel of rows and a block of keys the scores,
// their exponentials against the largest score so far, and what these add to the sums; sums of earlier blocks are
// scaled down where the largest score has grown. Milakov and Gimelshein, Online normalizer calculation for softmax,
// 2018; Dao et al., FlashAttention, 2022.
#ifndef DOVETAIL_PLUGINS_ATTENTION_CPU_GENERIC_HPP
#define DOVETAIL_PLUGINS_ATTENTION_CPU_GENERIC_HPP

#include "cpu_kernels.hpp"
#include "kernels/gemm/tile.hpp"
#include "kernels/reduce/exponentials.hpp"
#include "kernels/simd/convert.hpp"
#include "kernels/simd/math.hpp"
#include "kernels/simd/transpose.hpp"

namespace DT_ISA {
namespace {

constexpr int kPanel = kLanes == 16 ? 12 : 6;  // rows whose sums fill the registers
constexpr int kKeys = 128;                     // of a block
constexpr int kBlocks = 8;                     // of a group, whose sums are joined with those of earlier groups
static_assert(kKeys % kTile == 0, "a block of keys is whole tiles");
static_assert(kKeys <= kSumBlock, "what a block adds to the sums is one chain of additions");

inline int64_t whole(int64_t n, int64_t of) { return (n + of - 1) / of * of; }
inline int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

// Rows in the smallest panel that there is a product for.
inline int panel_for(int64_t rows) { return rows == 1 ? 1 : rows <= 4 ? 4 : kPanel; }
inline MultiplyTile product_for(int panel) {
  return panel == 1 ? multiply_tile<1, 2> : panel == 4 ? multiply_tile<4, 2> : multiply_tile<kPanel, 2>;
}

// What rows are made of so far: sums of values, the largest score, and the total of the exponentials.
struct Sums {
  float *sums, *largest, *totals;
};

struct Scratch {
  float *q, *k, *v, *row;
  Sums group, all;
  int64_t v_columns;
  Scratch(float* from, int64_t rows, int64_t size, int64_t v_size) : v_columns(whole(v_size, kTile)) {
    const int64_t padded = whole(rows, kPanel);
    q = from;
    k = q + padded * size;
    v = k + kKeys * size;
    row = v + kKeys * v_columns;
    group = {row, row + padded * v_columns, row + padded * (v_columns + 1)};
    row += padded * (v_columns + 2);
    all = {row, row + padded * v_columns, row + padded * (v_columns + 1)};
    row += padded * (v_columns + 2);
    end = row + (size > v_columns ? size : v_columns) + kTile;
  }
  float* end;
};

struct Item {
  const AttentionArgs& args;
  int64_t batch, kv_head, first, rows;
  int panel;
  // Of each row: the keys that count, and where its mask begins.
  AttentionKeys keys[kAttentionRows];
  int64_t masks[kAttentionRows];

  int64_t head_of(int64_t r) const { return kv_head * args.group() + (first + r) / args.queries; }
  int64_t query_of(int64_t r) const { return (first + r) % args.queries; }
};

// n elements, from `at` on, of a row of keys or values, of the past or not.
inline void load_key(const Item& item, const AttentionTensor& past, const AttentionTensor& now, int64_t key, int64_t at,
                     int64_t n, float* to) {
  const AttentionArgs& args = item.args;
  const bool is_past = key < args.past;
  const AttentionTensor& from = is_past ? past : now;
  load_floats(from.data, args.type, from.at(item.batch, item.kv_head, is_past ? key : key - args.past) + at, to, n);
}

// [row][k], scaled; zeros behind the last row.
void pack_queries(const Item& item, const Scratch& s) {
  const AttentionArgs& args = item.args;
  for (int64_t r = 0; r < whole(item.rows, item.panel); ++r) {
    float* const to = s.q + r * args.size;
    if (r < item.rows) {
      load_floats(args.q.data, args.type, args.q.at(item.batch, item.head_of(r), item.query_of(r)), to, args.size);
    }
    for (int64_t i = 0; i < args.size; ++i) to[i] = r < item.rows ? to[i] * args.scale : 0.0f;
  }
}

// Keys as [tile][k][key], values as [tile of columns][key][column].
void pack_keys(const Item& item, int64_t first, int64_t n, const Scratch& s) {
  const AttentionArgs& args = item.args;
  for (int64_t c = 0; c < whole(n, kTile); c += kLanes) {
    float* const to = s.k + c / kTile * kTile * args.size + c % kTile;
    for (int64_t i = 0; i < args.size; i += kLanes) {
      const int64_t depth = least(kLanes, args.size - i);
      float square[kLanes * kLanes] = {};
      for (int64_t r = 0; r < least(kLanes, n - c); ++r) {
        load_key(item, args.past_k, args.k, first + c + r, i, depth, square + r * kLanes);
      }
      if (depth == kLanes) {
        transpose_square(square, kLanes, to + i * kTile, kTile);
        continue;
      }
      for (int64_t k = 0; k < depth; ++k) {
        for (int64_t r = 0; r < kLanes; ++r) to[(i + k) * kTile + r] = square[r * kLanes + k];
      }
    }
  }
  for (int64_t i = args.v_size; i < s.v_columns; ++i) s.row[i] = 0.0f;
  for (int64_t c = 0; c < n; ++c) {
    load_key(item, args.past_v, args.v, first + c, 0, args.v_size, s.row);
    for (int64_t tile = 0; tile < s.v_columns; tile += kTile) {
      memcpy(s.v + (tile / kTile * kKeys + c) * kTile, s.row + tile, kTile * sizeof(float));
    }
  }
}

// Caps the scores of one row of keys [first, first + n) and adds the mask; -inf where a key does not count.
void mask_row(const Item& item, int64_t r, int64_t first, int64_t n, float* scores) {
  const AttentionArgs& args = item.args;
  if (args.softcap > 0.0f) {
    const float cap = args.softcap, inverse = 1.0f / cap;
#pragma GCC ivdep
    for (int64_t i = 0; i < n; ++i) scores[i] = cap * tanh_f(scores[i] * inverse);
  }
  const AttentionKeys keys = item.keys[r];
  for (int64_t i = 0; i < least(keys.first - first, n); ++i) scores[i] = -kInfinity;
  for (int64_t i = keys.last > first ? keys.last - first : 0; i < n; ++i) scores[i] = -kInfinity;
  if (!args.has_mask) return;
  const int64_t here = least(n, args.masked - first);
  if (here <= 0) return;
  const int64_t at = item.masks[r] + first;
  if (args.mask_is_bool) {
    const uint8_t* const mask = static_cast<const uint8_t*>(args.mask.data) + at;
    for (int64_t i = 0; i < here; ++i) scores[i] = mask[i] ? scores[i] : -kInfinity;
    return;
  }
  float mask[kKeys];
  load_floats(args.mask.data, args.type, at, mask, here);
  for (int64_t i = 0; i < here; ++i) {
    scores[i] = mask[i] == -kInfinity || scores[i] == -kInfinity ? -kInfinity : scores[i] + mask[i];
  }
}

// Scores become what values are multiplied by. Gives the factor of earlier sums.
float weigh_row(const AttentionArgs& args, float* scores, int64_t n, float* largest, float* total) {
  if (!args.has_softmax) {
    for (int64_t i = 0; i < n; ++i) scores[i] = scores[i] == -kInfinity ? 0.0f : scores[i];
    *total = 1.0f;
    return 1.0f;
  }
  const float before = *largest, max = max_f(before, max_of(scores, n));
  *largest = max;
  if (max == -kInfinity) {
    for (int64_t i = 0; i < n; ++i) scores[i] = 0.0f;
    return 1.0f;
  }
  const float factor = before == max ? 1.0f : exp_f(before - max);
  *total = *total * factor + set_exponentials(scores, max, scores, n);
  return factor;
}

// What keys [first, first + n) add to a panel of rows, from row r0 on.
void add_keys(const Item& item, int64_t r0, int64_t first, int64_t n, const Scratch& s) {
  const AttentionArgs& args = item.args;
  const int panel = item.panel;
  const int64_t here = least(panel, item.rows - r0);
  const MultiplyTile product = product_for(panel);
  float scores[kPanel * kKeys];
  for (int64_t tile = 0; tile < n; tile += kTile) {
    for (int64_t k = 0; k == 0 || k < args.size; k += kSumBlock) {
      const float *const q = s.q + r0 * args.size + k, *const keys = s.k + tile * args.size + k * kTile;
      product({q, args.size, keys, kTile, least(kSumBlock, args.size - k), nullptr, 0, scores + tile, kKeys, k > 0});
    }
  }
  for (int64_t i = 0; i < panel; ++i) {
    float* const row = scores + i * kKeys;
    if (i < here) {
      mask_row(item, r0 + i, first, n, row);
      const float factor = weigh_row(args, row, n, s.group.largest + r0 + i, s.group.totals + r0 + i);
      float* const sums = s.group.sums + (r0 + i) * s.v_columns;
      if (factor != 1.0f) {
        for (int64_t c = 0; c < s.v_columns; ++c) sums[c] *= factor;
      }
    }
    if (i >= here) memset(row, 0, kKeys * sizeof(float));
  }
  for (int64_t column = 0; column < s.v_columns; column += kTile) {
    float* const sums = s.group.sums + r0 * s.v_columns + column;
    product({scores, kKeys, s.v + column * kKeys, kTile, n, nullptr, 0, sums, s.v_columns, true});
  }
}

void begin(const Item& item, const Scratch& s, const Sums& to) {
  for (int64_t i = 0; i < whole(item.rows, item.panel) * s.v_columns; ++i) to.sums[i] = 0.0f;
  for (int64_t r = 0; r < item.rows; ++r) {
    to.largest[r] = -kInfinity;
    to.totals[r] = 0.0f;
  }
}

// Joins a group of blocks with those in front of it: chains of additions stay short.
void end_group(const Item& item, const Scratch& s) {
  const int64_t n = s.v_columns;
  for (int64_t r = 0; r < item.rows; ++r) {
    const float before = s.all.largest[r], here = s.group.largest[r], max = max_f(before, here);
    const bool is_same = !item.args.has_softmax || max == -kInfinity;
    const float of_before = is_same || before == max ? 1.0f : exp_f(before - max);
    const float of_here = is_same || here == max ? 1.0f : exp_f(here - max);
    float* const to = s.all.sums + r * n;
    const float* const from = s.group.sums + r * n;
    for (int64_t c = 0; c < n; ++c) to[c] = to[c] * of_before + from[c] * of_here;
    s.all.totals[r] = item.args.has_softmax ? s.all.totals[r] * of_before + s.group.totals[r] * of_here : 1.0f;
    s.all.largest[r] = max;
  }
  begin(item, s, s.group);
}

void attend(Item& item, const Scratch& s) {
  const AttentionArgs& args = item.args;
  pack_queries(item, s);
  begin(item, s, s.group);
  AttentionKeys all = {args.keys, 0};
  for (int64_t r = 0; r < item.rows; ++r) {
    const AttentionKeys keys = item.keys[r] = args.keys_of(item.batch, item.query_of(r));
    item.masks[r] = args.mask.at(item.batch, item.head_of(r), item.query_of(r));
    all.first = least(all.first, keys.first);
    all.last = all.last > keys.last ? all.last : keys.last;
  }
  const bool has_groups = all.last - all.first > kKeys * kBlocks;
  if (has_groups) begin(item, s, s.all);
  int64_t n_blocks = 0;
  for (int64_t first = all.first; first < all.last; first += kKeys, ++n_blocks) {
    const int64_t n = least(kKeys, all.last - first);
    if (has_groups && n_blocks > 0 && n_blocks % kBlocks == 0) end_group(item, s);
    pack_keys(item, first, n, s);
    for (int64_t r0 = 0; r0 < item.rows; r0 += item.panel) {
      bool is_needed = false;
      for (int64_t r = r0; r < least(r0 + item.panel, item.rows); ++r) {
        const AttentionKeys keys = item.keys[r];
        is_needed = is_needed || (keys.first < first + n && keys.last > first);
      }
      if (is_needed) add_keys(item, r0, first, n, s);
    }
  }
  if (has_groups) end_group(item, s);
  const Sums& result = has_groups ? s.all : s.group;
  for (int64_t r = 0; r < item.rows; ++r) {
    float* const sums = result.sums + r * s.v_columns;
    const float factor = result.totals[r] == 0.0f ? 0.0f : 1.0f / result.totals[r];
    for (int64_t c = 0; c < args.v_size; ++c) sums[c] *= factor;
    store_floats(sums, args.y.data, args.type, args.y.at(item.batch, item.head_of(r), item.query_of(r)), args.v_size);
  }
}

}  // namespace

int64_t attention_floats(int64_t rows, int64_t size, int64_t v_size) {
  static float none;
  return Scratch(&none, rows, size, v_size).end - &none;
}

void attention(const AttentionArgs& args, const AttentionWork& work, int64_t first, int64_t last, float* scratch) {
  const int64_t all = args.group() * args.queries;
  const Scratch s(scratch, work.rows, args.size, args.v_size);
  for (int64_t i = first; i < last; ++i) {
    const int64_t from = i % work.blocks * work.rows, head = i / work.blocks;
    const int64_t rows = least(work.rows, all - from);
    Item item = {args, head / args.kv_heads, head % args.kv_heads, from, rows, panel_for(rows), {}, {}};
    attend(item, s);
  }
}

}  // namespace DT_ISA

#endif
