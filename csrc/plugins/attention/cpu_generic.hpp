// SPDX-License-Identifier: Apache-2.0
// The algorithm of Attention, compiled once per instruction set: for a panel of rows and a block of keys the scores,
// their exponentials against the largest score so far, and what these add to the sums; sums of earlier blocks are
// scaled down where the largest score has grown. Milakov and Gimelshein, Online normalizer calculation for softmax,
// 2018; Dao et al., FlashAttention, 2022.
#ifndef DOVETAIL_PLUGINS_ATTENTION_CPU_GENERIC_HPP
#define DOVETAIL_PLUGINS_ATTENTION_CPU_GENERIC_HPP

#include "cpu_kernels.hpp"
#include "kernels/gemm/dots.hpp"
#include "kernels/gemm/tile.hpp"
#include "kernels/reduce/exponentials.hpp"
#include "kernels/simd/convert.hpp"
#include "kernels/simd/math.hpp"
#include "kernels/simd/transpose.hpp"

namespace DT_ISA {
namespace {

constexpr int kPanel = kLanes == 16 ? 14 : 6;  // rows whose sums fill the registers
constexpr int kFewRows = 4;                    // at most, for which keys and values are read where they lie
constexpr int kKeys = 128;                     // of a block
constexpr int kBlocks = 8;                     // of a group, whose sums are joined with those of earlier groups
static_assert(kKeys % kTile == 0, "a block of keys is whole tiles");
static_assert(kKeys <= kSumBlock, "what a block adds to the sums is one chain of additions");

inline int64_t whole(int64_t n, int64_t of) { return (n + of - 1) / of * of; }
inline int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
inline const float* floats_at(const AttentionTensor& t, int64_t at) { return static_cast<const float*>(t.data) + at; }

// What rows are made of so far: sums of values, the largest score, and the total of the exponentials.
struct Sums {
  float *sums, *largest, *totals;
};

struct Scratch {
  float *q, *k, *v, *row;
  Sums group, all;
  int64_t v_columns;
  Scratch(float* from, int64_t rows, int64_t size, int64_t v_size) : v_columns(whole(v_size, kTile)) {
    q = from;
    k = q + rows * size;
    v = k + kKeys * whole(size, kLanes);
    row = v + kKeys * v_columns;
    group = {row, row + rows * v_columns, row + rows * (v_columns + 1)};
    row += rows * (v_columns + 2);
    all = {row, row + rows * v_columns, row + rows * (v_columns + 1)};
    row += rows * (v_columns + 2);
    end = row + kLanes * whole(size > v_columns ? size : v_columns, kLanes);
  }
  float* end;
};

// Where a row is in query, mask and y, and which keys count for it.
struct Row {
  int64_t q, mask, y;
  AttentionKeys keys;
};

// Rows of one head of key: queries of the heads that share it.
struct Item {
  const AttentionArgs& args;
  int64_t batch, kv_head, rows;
  Row row[kAttentionRows];
  AttentionKeys all;  // that count for any of them

  Item(const AttentionArgs& a, int64_t head, int64_t first, int64_t n)
      : args(a), batch(head / a.kv_heads), kv_head(head % a.kv_heads), rows(n), all{a.keys, 0} {
    int64_t at = kv_head * args.group() + first / args.queries, query = first % args.queries;
    for (int64_t r = 0; r < n; ++r) {
      const AttentionKeys keys = args.keys_of(batch, query);
      row[r] = {args.q.at(batch, at, query), args.mask.at(batch, at, query), args.y.at(batch, at, query), keys};
      all.first = least(all.first, keys.first);
      all.last = all.last > keys.last ? all.last : keys.last;
      if (++query < args.queries) continue;
      query = 0;
      ++at;
    }
  }
};

// Neighbouring keys and their values, of the past or not.
struct Keys {
  AttentionTensor k, v;
  int64_t first, n, k_at, v_at;  // where the first is
};

// Keys from `first` on, a block at most.
Keys keys_from(const Item& item, int64_t first) {
  const AttentionArgs& args = item.args;
  const bool is_past = first < args.past;
  Keys keys = {is_past ? args.past_k : args.k, is_past ? args.past_v : args.v, first, 0, 0, 0};
  keys.n = least(kKeys, (is_past ? least(args.past, item.all.last) : item.all.last) - first);
  const int64_t row = is_past ? first : first - args.past;
  keys.k_at = keys.k.at(item.batch, item.kv_head, row);
  keys.v_at = keys.v.at(item.batch, item.kv_head, row);
  return keys;
}

// [row][k], scaled
void pack_queries(const Item& item, const Scratch& s) {
  const AttentionArgs& args = item.args;
  for (int64_t r = 0; r < item.rows; ++r) {
    float* const to = s.q + r * args.size;
    if (args.type != kF32) load_floats(args.q.data, args.type, item.row[r].q, to, args.size);
    const float* const from = args.type == kF32 ? floats_at(args.q, item.row[r].q) : to;
    const float scale = args.scale;
#pragma GCC ivdep
    for (int64_t i = 0; i < args.size; ++i) to[i] = from[i] * scale;
  }
}

// Keys as [tile][k][key], zeros behind the last
void pack_keys(const AttentionArgs& args, const Keys& keys, const Scratch& s) {
  const int64_t depth = whole(args.size, kLanes);
  const bool in_place = args.type == kF32 && args.size == depth;
  for (int64_t c = 0; c < keys.n; c += kLanes) {
    const int64_t here = least(kLanes, keys.n - c), at = keys.k_at + c * keys.k.row;
    const float* from = in_place ? floats_at(keys.k, at) : s.row;
    int64_t step = in_place ? keys.k.row : depth;
    if (!in_place || here < kLanes) {
      from = s.row;
      step = depth;
      for (int64_t r = 0; r < here; ++r) {
        load_floats(keys.k.data, args.type, at + r * keys.k.row, s.row + r * depth, args.size);
        for (int64_t i = args.size; i < depth; ++i) s.row[r * depth + i] = 0.0f;
      }
      memset(s.row + here * depth, 0, static_cast<size_t>((kLanes - here) * depth) * sizeof(float));
    }
    float* const to = s.k + c / kTile * kTile * depth + c % kTile;
    for (int64_t i = 0; i < depth; i += kLanes) transpose_square(from + i, step, to + i * kTile, kTile);
  }
}

// Values as [tile of columns][key][column], zeros behind the last column
void pack_values(const AttentionArgs& args, const Keys& keys, const Scratch& s) {
  for (int64_t i = args.v_size; i < s.v_columns; ++i) s.row[i] = 0.0f;
  for (int64_t c = 0; c < keys.n; ++c) {
    const int64_t at = keys.v_at + c * keys.v.row;
    const bool in_place = args.type == kF32 && args.v_size == s.v_columns;
    if (!in_place) load_floats(keys.v.data, args.type, at, s.row, args.v_size);
    const float* const from = in_place ? floats_at(keys.v, at) : s.row;
    for (int64_t tile = 0; tile < s.v_columns; tile += kTile) {
      float* const to = s.v + tile * kKeys + c * kTile;
      store(to, load(from + tile));
      store(to + kLanes, load(from + tile + kLanes));
    }
  }
}

inline VecF masked(VecF score, VecF mask) {
  return (mask == -kInfinity) | (score == -kInfinity) ? splat(-kInfinity) : score + mask;
}

// Caps the scores of one row of keys [first, first + n) and adds the mask; -inf where a key does not count.
void mask_row(const AttentionArgs& args, const Row& row, int64_t first, int64_t n, float* scores) {
  if (args.softcap > 0.0f) {
    const float cap = args.softcap, inverse = 1.0f / cap;
#pragma GCC ivdep
    for (int64_t i = 0; i < n; ++i) scores[i] = cap * tanh_f(scores[i] * inverse);
  }
  const AttentionKeys keys = row.keys;
  for (int64_t i = 0; i < least(keys.first - first, n); ++i) scores[i] = -kInfinity;
  for (int64_t i = keys.last > first ? keys.last - first : 0; i < n; ++i) scores[i] = -kInfinity;
  if (!args.has_mask) return;
  const int64_t here = least(n, args.masked - first);
  if (here <= 0) return;
  const int64_t at = row.mask + first;
  if (args.mask_is_bool) {
    const uint8_t* const mask = static_cast<const uint8_t*>(args.mask.data) + at;
    for (int64_t i = 0; i < here; ++i) scores[i] = mask[i] ? scores[i] : -kInfinity;
    return;
  }
  float converted[kKeys];
  if (args.type != kF32) load_floats(args.mask.data, args.type, at, converted, here);
  const float* const mask = args.type == kF32 ? floats_at(args.mask, at) : converted;
  int64_t i = 0;
  for (; i + kLanes <= here; i += kLanes) store(scores + i, masked(load(scores + i), load(mask + i)));
  for (; i < here; ++i) {
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
  const float factor = before == max || before == -kInfinity ? 1.0f : exp_f(before - max);
  *total = *total * factor + set_exponentials(scores, max, scores, n);
  return factor;
}

// True where a row's scores need no more than a float32 mask and the interval of its keys.
inline bool is_plain(const AttentionArgs& args) {
  return args.has_softmax && args.softcap <= 0.0f && (!args.has_mask || (!args.mask_is_bool && args.type == kF32));
}

// Adds the mask to the scores of one row, where is_plain, and makes those -inf that do not count, up to whole vectors.
// The largest of them is a lane of the result; not NaN, which the exponentials make of every NaN.
VecF largest_of(const AttentionArgs& args, const Row& row, const Keys& keys, float* scores) {
  const int64_t n = keys.n, first = keys.first, vectors = whole(n, kLanes);
  const int64_t begin = row.keys.first > first ? least(row.keys.first - first, n) : 0;
  const int64_t end = row.keys.last > first ? least(row.keys.last - first, n) : 0;
  for (int64_t i = 0; i < begin; ++i) scores[i] = -kInfinity;
  VecF even = splat(-kInfinity), odd = even;
  const float* const mask = args.has_mask ? floats_at(args.mask, row.mask + first) : nullptr;
  int64_t i = 0;
  for (; !mask && i + 2 * kLanes <= end; i += 2 * kLanes) {
    even = at_least(load(scores + i), even);
    odd = at_least(load(scores + i + kLanes), odd);
  }
  for (; i + kLanes <= end; i += kLanes) {
    VecF score = load(scores + i);
    if (mask) {
      score = masked(score, load(mask + i));
      store(scores + i, score);
    }
    even = at_least(score, even);
  }
  for (; i < vectors; i += kLanes) {  // columns behind the last valid key are -inf
    const int there = end > i ? static_cast<int>(end - i) : 0;
    VecF score = load_lanes(reinterpret_cast<uintptr_t>(scores + i), 0, there, splat(-kInfinity));
    if (mask) score = masked(score, load_lanes(reinterpret_cast<uintptr_t>(mask + i), 0, there, VecF{}));
    store(scores + i, score);
    odd = at_least(score, odd);
  }
  return at_least(even, odd);
}

// mask_row and weigh_row at once for `n` rows, as many as there are lanes at most, where is_plain: what is one number for
// each row is computed for all of them in one vector. Scores have room for whole vectors. Gives the factors.
VecF weigh_plain(const Item& item, int64_t r0, int n, const Keys& keys, float* scores, const Sums& s) {
  const int64_t vectors = whole(keys.n, kLanes);
  VecF of_row[kLanes] = {};
  for (int r = 0; r < n; ++r) of_row[r] = largest_of(item.args, item.row[r0 + r], keys, scores + r * kKeys);
  fold_lanes(of_row, [](VecF a, VecF b) { return at_least(a, b); });
  const VecF none = splat(-kInfinity);
  const VecF before = load_lanes(reinterpret_cast<uintptr_t>(s.largest + r0), 0, n, none);
  const VecF here = at_least(of_row[0], before);
  const VecF factor = (before == here) | (before == none) ? splat(1.0f) : exp_f(before - here);
  store_lanes(s.largest + r0, n, here);
  float largest[kLanes];
  store(largest, here == none ? VecF{} : here);  // where no key counts yet, weights are e^-inf
  for (int r = 0; r < kLanes; ++r) of_row[r] = VecF{};
  for (int r = 0; r < n; ++r) {
    float* const row = scores + r * kKeys;
    const VecF max = splat(largest[r]);
    VecF sum = VecF{};
    for (int64_t i = 0; i < vectors; i += kLanes) {
      const VecF e = exp_below(load(row + i) - max);
      sum += e;
      store(row + i, e);
    }
    of_row[r] = sum;
  }
  fold_lanes(of_row, [](VecF a, VecF b) { return a + b; });
  const VecF total = load_lanes(reinterpret_cast<uintptr_t>(s.totals + r0), 0, n, VecF{});
  store_lanes(s.totals + r0, n, total * factor + of_row[0]);
  return factor;
}

// Scores of rows [r0, r0 + rows), kKeys apart, become weights of keys; earlier sums are scaled down to them.
void weigh(const Item& item, int64_t r0, int64_t rows, const Keys& keys, const Scratch& s, float* scores) {
  const bool is_fast = is_plain(item.args);
  for (int64_t first = r0; first < r0 + rows; first += kLanes, scores += kLanes * kKeys) {
    const int n = static_cast<int>(least(kLanes, r0 + rows - first));
    float factors[kLanes];
    if (is_fast) store(factors, weigh_plain(item, first, n, keys, scores, s.group));
    for (int i = 0; i < n; ++i) {
      const int64_t r = first + i;
      if (!is_fast) {
        mask_row(item.args, item.row[r], keys.first, keys.n, scores + i * kKeys);
        factors[i] = weigh_row(item.args, scores + i * kKeys, keys.n, s.group.largest + r, s.group.totals + r);
      }
      float* const sums = s.group.sums + r * s.v_columns;
      if (factors[i] == 1.0f) continue;
      for (int64_t c = 0; c < s.v_columns; ++c) sums[c] *= factors[i];
    }
  }
}

// What packed keys add to rows [r0, r0 + rows), a panel at most.
void add_keys(const Item& item, int64_t r0, int64_t rows, const Keys& keys, const Scratch& s) {
  const int64_t size = item.args.size, depth = whole(size, kLanes);
  float scores[kPanel * kKeys];
  for (int64_t tile = 0; tile < keys.n; tile += kTile) {
    const MultiplyTile product = tile_for<kPanel>(rows, keys.n - tile > kLanes);
    for (int64_t k = 0; k == 0 || k < size; k += kSumBlock) {
      const float *const q = s.q + r0 * size + k, *const panel = s.k + tile * depth + k * kTile;
      float* const to = scores + tile;
      product({q, size, panel, kTile, least(kSumBlock, size - k), nullptr, 0, to, kKeys, k > 0 ? to : nullptr, kKeys});
    }
  }
  weigh(item, r0, rows, keys, s, scores);
  for (int64_t column = 0; column < item.args.v_size; column += kTile) {
    const MultiplyTile product = tile_for<kPanel>(rows, item.args.v_size - column > kLanes);
    float* const sums = s.group.sums + r0 * s.v_columns + column;
    product({scores, kKeys, s.v + column * kKeys, kTile, keys.n, nullptr, 0, sums, s.v_columns, sums, s.v_columns});
  }
}

// Few rows read keys and values only once: packing them first would read them twice.
bool reads_in_place(const Item& item) {
  const AttentionArgs& args = item.args;
  return item.rows <= kFewRows && args.type == kF32 && args.size % kLanes == 0 && args.v_size % kLanes == 0 &&
         args.size <= kSumBlock * kLanes;
}

// What keys add to few rows.
void add_keys_in_place(const Item& item, const Keys& keys, const Scratch& s) {
  const AttentionArgs& args = item.args;
  float scores[kFewRows * kKeys];
  for (int64_t r = 0; r < item.rows; ++r) {
    dot_rows(s.q + r * args.size, args.size, floats_at(keys.k, keys.k_at), keys.k.row, keys.n, scores + r * kKeys);
  }
  weigh(item, 0, item.rows, keys, s, scores);
  for (int64_t column = 0; column < args.v_size; column += kTile) {
    const MultiplyTile product = tile_for<kFewRows>(item.rows, args.v_size - column > kLanes);
    const float* const values = floats_at(keys.v, keys.v_at + column);
    float* const sums = s.group.sums + column;
    product({scores, kKeys, values, keys.v.row, keys.n, nullptr, 0, sums, s.v_columns, sums, s.v_columns});
  }
}

void begin(const Item& item, const Scratch& s, const Sums& to) {
  for (int64_t i = 0; i < item.rows * s.v_columns; ++i) to.sums[i] = 0.0f;
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

// What a block of keys adds to all rows for which one of them counts.
void add_block(const Item& item, const Keys& keys, const Scratch& s) {
  pack_keys(item.args, keys, s);
  pack_values(item.args, keys, s);
  const int64_t panels = (item.rows + kPanel - 1) / kPanel;
  for (int64_t p = 0; p < panels; ++p) {
    const int64_t r0 = item.rows * p / panels, r1 = item.rows * (p + 1) / panels;
    Keys needed = keys;  // up to the last one that counts for a row of the panel
    needed.n = 0;
    for (int64_t r = r0; r < r1; ++r) {
      const AttentionKeys counts = item.row[r].keys;
      const int64_t n = least(counts.last - keys.first, keys.n);
      if (counts.first < keys.first + keys.n && n > needed.n) needed.n = n;
    }
    if (needed.n > 0) add_keys(item, r0, r1 - r0, needed, s);
  }
}

void write(const Item& item, const Sums& result, int64_t pitch) {
  const AttentionArgs& args = item.args;
  for (int64_t r = 0; r < item.rows; ++r) {
    float* const sums = result.sums + r * pitch;
    const float factor = result.totals[r] == 0.0f ? 0.0f : 1.0f / result.totals[r];
    float* const y = args.type == kF32 ? static_cast<float*>(args.y.data) + item.row[r].y : sums;
#pragma GCC ivdep
    for (int64_t c = 0; c < args.v_size; ++c) y[c] = sums[c] * factor;
    if (args.type != kF32) store_floats(sums, args.y.data, args.type, item.row[r].y, args.v_size);
  }
}

void attend(const Item& item, const Scratch& s) {
  const bool in_place = reads_in_place(item), has_groups = item.all.last - item.all.first > kKeys * kBlocks;
  pack_queries(item, s);
  begin(item, s, s.group);
  if (has_groups) begin(item, s, s.all);
  int64_t n_blocks = 0;
  for (int64_t first = item.all.first; first < item.all.last; ++n_blocks) {
    const Keys keys = keys_from(item, first);
    if (has_groups && n_blocks > 0 && n_blocks % kBlocks == 0) end_group(item, s);
    if (in_place) {
      add_keys_in_place(item, keys, s);
    } else {
      add_block(item, keys, s);
    }
    first += keys.n;
  }
  if (has_groups) end_group(item, s);
  write(item, has_groups ? s.all : s.group, s.v_columns);
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
    attend(Item(args, head, from, least(work.rows, all - from)), s);
  }
}

}  // namespace DT_ISA

#endif
