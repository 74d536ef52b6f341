// SPDX-License-Identifier: Apache-2.0
// Attention@1#cuda. In general a block has 32 rows (queries of the heads that share a head of key), a warp four of
// them. Tiles of 32 keys and their values lie in shared memory as float32; a lane has the score of one key for each of
// its warp's rows, and the sums of every 32nd column of y. Halves may go through the tensor cores: a block has 64 rows
// then, a warp 16 of them, and tiles have 64 keys. Exponentials are rounded to the type of x before they
// meet the values.
#include "kernels/cuda/ptx.cuh"
#include "rows.hpp"

using namespace dovetail;

namespace {

constexpr int kWarps = kBlock / 32, kOwn = 4;  // rows of a warp
constexpr int kRowsOfBlock = kWarps * kOwn, kTile = 32;
constexpr int kMostSize = 256, kMostColumns = kMostSize / 32;

struct CudaAttention : AttentionArgs {
  int64_t blocks;      // of one head of key
  int pitch, v_pitch;  // floats of a row in shared memory: whole float4, an odd number of them; and whole warps
};

__device__ __forceinline__ float max_of_warp(float v) {
#pragma unroll
  for (int other = 16; other > 0; other /= 2) v = fmaxf(v, __shfl_xor_sync(0xffffffffu, v, other));
  return v;
}
__device__ __forceinline__ float sum_of_warp(float v) {
#pragma unroll
  for (int other = 16; other > 0; other /= 2) v += __shfl_xor_sync(0xffffffffu, v, other);
  return v;
}

// Rows [first, first + rows) of keys or values, zeros behind `size` and behind the last row.
__device__ void load_rows(const CudaAttention& args, const AttentionTensor& past, const AttentionTensor& now,
                          int64_t batch, int64_t head, int64_t first, int64_t size, int pitch, float* to) {
  for (int i = threadIdx.x; i < kTile * pitch; i += kBlock) {
    const int64_t key = first + i / pitch, at = i % pitch;
    float v = 0.0f;
    if (key < args.keys && at < size) {
      v = key < args.past ? load_float(past.data, args.type, past.at(batch, head, key) + at)
                          : load_float(now.data, args.type, now.at(batch, head, key - args.past) + at);
    }
    to[i] = v;
  }
}

__global__ void __launch_bounds__(kBlock) attention(const __grid_constant__ CudaAttention args) {
  extern __shared__ __align__(16) float memory[];
  float* const queries = memory;                            // [row of the block][pitch]
  float* const keys = queries + kRowsOfBlock * args.pitch;  // [key][pitch]
  float* const values = keys + kTile * args.pitch;          // [key][v_pitch]
  __shared__ AttentionKeys range[kRowsOfBlock];
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const int64_t head = blockIdx.x / args.blocks, first = blockIdx.x % args.blocks * kRowsOfBlock;
  const int64_t batch = head / args.kv_heads, kv_head = head % args.kv_heads, group = args.group();
  const int64_t rows = group * args.queries;
  const auto head_of = [&](int64_t row) { return kv_head * group + row / args.queries; };
  for (int i = threadIdx.x; i < kRowsOfBlock * args.pitch; i += kBlock) {
    const int64_t row = first + i / args.pitch, at = i % args.pitch;
    float v = 0.0f;
    if (row < rows && at < args.size) {
      v = load_float(args.q.data, args.type, args.q.at(batch, head_of(row), row % args.queries) + at) * args.scale;
    }
    queries[i] = v;
  }
  for (int i = threadIdx.x; i < kRowsOfBlock; i += kBlock) {
    const int64_t row = first + i;
    range[i] = row < rows ? args.keys_of(batch, row % args.queries) : AttentionKeys{args.keys, 0};
  }
  __syncthreads();
  AttentionKeys all = {args.keys, 0};
  for (int i = 0; i < kRowsOfBlock; ++i) {
    if (range[i].first < all.first) all.first = range[i].first;
    if (range[i].last > all.last) all.last = range[i].last;
  }

  const int own = warp * kOwn, columns = args.v_pitch / 32;
  float sums[kOwn][kMostColumns] = {}, largest[kOwn], totals[kOwn];
#pragma unroll
  for (int r = 0; r < kOwn; ++r) {
    largest[r] = -INFINITY;
    totals[r] = args.has_softmax ? 0.0f : 1.0f;
  }
  for (int64_t tile = all.first; tile < all.last; tile += kTile) {
    __syncthreads();  // no thread reads the last tile any more
    load_rows(args, args.past_k, args.k, batch, kv_head, tile, args.size, args.pitch, keys);
    load_rows(args, args.past_v, args.v, batch, kv_head, tile, args.v_size, args.v_pitch, values);
    __syncthreads();
    float weights[kOwn] = {}, odd[kOwn] = {};  // two sums round half as often as one, and exponentials magnify that
    for (int k = 0; k < args.size; k += 4) {   // zeros behind the end
      const float4 key = *reinterpret_cast<const float4*>(keys + lane * args.pitch + k);
#pragma unroll
      for (int r = 0; r < kOwn; ++r) {
        const float4 q = *reinterpret_cast<const float4*>(queries + (own + r) * args.pitch + k);
        weights[r] = fmaf(q.x, key.x, fmaf(q.z, key.z, weights[r]));
        odd[r] = fmaf(q.y, key.y, fmaf(q.w, key.w, odd[r]));
      }
    }
    const int64_t key = tile + lane;
#pragma unroll
    for (int r = 0; r < kOwn; ++r) {
      float score = weights[r] + odd[r];
      if (args.softcap > 0.0f) score = args.softcap * tanhf(score / args.softcap);
      const AttentionKeys counts = range[own + r];
      if (key < counts.first || key >= counts.last) {
        score = -INFINITY;
      } else if (args.has_mask) {
        const int64_t row = first + own + r;
        const int64_t at = args.mask.at(batch, head_of(row), row % args.queries) + key;
        if (args.mask_is_bool) {
          if (!static_cast<const uint8_t*>(args.mask.data)[at]) score = -INFINITY;
        } else {
          const float mask = load_float(args.mask.data, args.type, at);
          score = mask == -INFINITY ? -INFINITY : score + mask;
        }
      }
      if (!args.has_softmax) {
        weights[r] = score == -INFINITY ? 0.0f : score;
        continue;
      }
      // fmaxf passes over NaN, which then comes back through the exponentials.
      const float max = fmaxf(largest[r], max_of_warp(score));
      const float base = max == -INFINITY ? 0.0f : max, factor = expf(largest[r] - base);
      weights[r] = expf(score - base);
      totals[r] = totals[r] * factor + sum_of_warp(weights[r]);
      largest[r] = max;
#pragma unroll
      for (int c = 0; c < kMostColumns; ++c) sums[r][c] *= factor;
    }
    for (int k = 0; k < kTile; ++k) {
      float w[kOwn];
#pragma unroll
      for (int r = 0; r < kOwn; ++r) w[r] = __shfl_sync(0xffffffffu, weights[r], k);
#pragma unroll
      for (int c = 0; c < kMostColumns; ++c) {
        if (c >= columns) break;
        const float v = values[k * args.v_pitch + c * 32 + lane];
#pragma unroll
        for (int r = 0; r < kOwn; ++r) sums[r][c] = fmaf(w[r], v, sums[r][c]);
      }
    }
  }
#pragma unroll
  for (int r = 0; r < kOwn; ++r) {
    const int64_t row = first + own + r;
    if (row >= rows) continue;
    const float factor = totals[r] == 0.0f ? 0.0f : 1.0f / totals[r];
    const int64_t at = args.y.at(batch, head_of(row), row % args.queries);
#pragma unroll
    for (int c = 0; c < kMostColumns; ++c) {
      const int column = c * 32 + lane;
      if (column < args.v_size) store_float(sums[r][c] * factor, args.y.data, args.type, at + column);
    }
  }
}

// ---- halves

constexpr int kWideRows = 64, kWideKeys = 64, kWideThreads = 128, kMostHalves = 128;

// 64 rows of a tensor as [row][pitch], zeros up to whole steps of 16 and in rows that are not there.
template <class Row>
__device__ __forceinline__ void fetch_rows(int size, int pitch, const Row& row_at, uint16_t* to) {
  const int pieces = (pitch - 8) / 8;
  for (int i = threadIdx.x; i < kWideKeys * pieces; i += kWideThreads) {
    const int row = i / pieces, at = i % pieces * 8;
    bool is_there = at < size;
    const uint16_t* const from = row_at(row, &is_there);
    copy_async<16>(to + row * pitch + at, is_there ? from + at : from, is_there ? 16 : 0);
  }
}

template <class T>
__device__ __forceinline__ uint32_t pair_of(float a, float b) {
  Pack<T, 2> pair;
  pair.v[0] = float_to<T>(a);
  pair.v[1] = float_to<T>(b);
  uint32_t bits;
  memcpy(&bits, &pair, sizeof bits);
  return bits;
}

// A score with its cap and its mask; -inf where the key does not count.
__device__ __forceinline__ float masked_score(const CudaAttention& args, float score, AttentionKeys counts, int64_t key,
                                              int64_t mask_row) {
  if (args.softcap > 0.0f) score = args.softcap * tanhf(score / args.softcap);
  if (key < counts.first || key >= counts.last) return -INFINITY;
  if (!args.has_mask) return score;
  if (args.mask_is_bool) return static_cast<const uint8_t*>(args.mask.data)[mask_row + key] ? score : -INFINITY;
  const float mask = load_float(args.mask.data, args.type, mask_row + key);
  return mask == -INFINITY ? -INFINITY : score + mask;
}

template <class T>
__global__ void __launch_bounds__(kWideThreads) attention_halves(const __grid_constant__ CudaAttention args) {
  extern __shared__ __align__(16) uint16_t halves[];
  uint16_t* const keys = halves;                           // [key][pitch]; first the queries
  uint16_t* const values = keys + kWideKeys * args.pitch;  // [key][v_pitch]
  __shared__ AttentionKeys range[kWideRows];
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, size = static_cast<int>(args.size);
  const int64_t head = blockIdx.x / args.blocks, first = blockIdx.x % args.blocks * kWideRows;
  const int64_t batch = head / args.kv_heads, kv_head = head % args.kv_heads, group = args.group();
  const int64_t rows = group * args.queries;
  const auto head_of = [&](int64_t row) { return kv_head * group + row / args.queries; };
  const auto part_of = [](const AttentionTensor& t, int64_t at) { return static_cast<const uint16_t*>(t.data) + at; };
  fetch_rows(
      size, args.pitch,
      [&](int i, bool* is_there) {
        const int64_t row = first + i;
        *is_there = *is_there && row < rows;
        return part_of(args.q, *is_there ? args.q.at(batch, head_of(row), row % args.queries) : 0);
      },
      keys);
  commit_copies();
  for (int i = threadIdx.x; i < kWideRows; i += kWideThreads) {
    const int64_t row = first + i;
    range[i] = row < rows ? args.keys_of(batch, row % args.queries) : AttentionKeys{args.keys, 0};
  }
  wait_for_copies<0>();
  __syncthreads();
  constexpr int kSteps = kMostHalves / 16;
  const int steps = (args.pitch - 8) / 16, columns = (args.v_pitch - 8) / 16;
  uint32_t q[kSteps][4];
#pragma unroll
  for (int k = 0; k < kSteps; ++k) {
    if (k < steps) load_matrices(q[k], keys + (warp * 16 + lane % 16) * args.pitch + k * 16 + lane / 16 * 8);
  }
  AttentionKeys all = {args.keys, 0}, own = {args.keys, 0};  // of the block, of the warp
  for (int i = 0; i < kWideRows; ++i) {
    if (range[i].first < all.first) all.first = range[i].first;
    if (range[i].last > all.last) all.last = range[i].last;
    if (i / 16 != warp) continue;
    if (range[i].first < own.first) own.first = range[i].first;
    if (range[i].last > own.last) own.last = range[i].last;
  }

  // A thread has two rows, and of each part of 8 keys or columns two neighbours.
  const int row_here = warp * 16 + lane / 4;
  AttentionKeys counts[2];
  int64_t mask_rows[2] = {};
#pragma unroll
  for (int h = 0; h < 2; ++h) {
    const int64_t row = first + row_here + h * 8;
    counts[h] = range[row_here + h * 8];
    if (args.has_mask && row < rows) mask_rows[h] = args.mask.at(batch, head_of(row), row % args.queries);
  }
  float sums[2 * kSteps][4] = {}, largest[2] = {-INFINITY, -INFINITY}, totals[2] = {};
  for (int64_t tile = all.first; tile < all.last; tile += kWideKeys) {
    __syncthreads();  // no thread reads the last tile or the queries any more
    const auto fetch = [&](const AttentionTensor& past, const AttentionTensor& now, int n, int pitch, uint16_t* to) {
      fetch_rows(
          n, pitch,
          [&](int i, bool* is_there) {
            const int64_t key = tile + i;
            *is_there = *is_there && key < args.keys;
            if (*is_there && key < args.past) return part_of(past, past.at(batch, kv_head, key));
            return part_of(now, *is_there ? now.at(batch, kv_head, key - args.past) : 0);
          },
          to);
      commit_copies();
    };
    fetch(args.past_k, args.k, size, args.pitch, keys);
    fetch(args.past_v, args.v, static_cast<int>(args.v_size), args.v_pitch, values);
    wait_for_copies<1>();
    __syncthreads();
    const bool is_needed = own.first < tile + kWideKeys && own.last > tile;
    float scores[kWideKeys / 8][4] = {};
    if (is_needed) {
#pragma unroll
      for (int k = 0; k < kSteps; ++k) {
        if (k >= steps) break;
#pragma unroll
        for (int j = 0; j < kWideKeys / 16; ++j) {
          uint32_t part[4];
          load_matrices(part, keys + (j * 16 + lane % 8 + lane / 16 * 8) * args.pitch + k * 16 + lane / 8 % 2 * 8);
          multiply(scores[2 * j], q[k], part[0], part[1], T());
          multiply(scores[2 * j + 1], q[k], part[2], part[3], T());
        }
      }
#pragma unroll
      for (int h = 0; h < 2; ++h) {
        float max = -INFINITY;
#pragma unroll
        for (int j = 0; j < kWideKeys / 8; ++j) {
#pragma unroll
          for (int e = 0; e < 2; ++e) {
            float& score = scores[j][h * 2 + e];
            const int64_t key = tile + j * 8 + lane % 4 * 2 + e;
            score = masked_score(args, score * args.scale, counts[h], key, mask_rows[h]);
            max = fmaxf(max, score);
          }
        }
        max = fmaxf(max, __shfl_xor_sync(0xffffffffu, max, 1));
        max = fmaxf(largest[h], fmaxf(max, __shfl_xor_sync(0xffffffffu, max, 2)));
        const float base = max == -INFINITY ? 0.0f : max, factor = expf(largest[h] - base);
        float total = 0.0f;
#pragma unroll
        for (int j = 0; j < kWideKeys / 8; ++j) {
#pragma unroll
          for (int e = 0; e < 2; ++e) {
            float& score = scores[j][h * 2 + e];
            score = expf(score - base);
            total += score;
          }
        }
        largest[h] = max;
        totals[h] = totals[h] * factor + total;
#pragma unroll
        for (int c = 0; c < 2 * kSteps; ++c) {
          sums[c][h * 2] *= factor;
          sums[c][h * 2 + 1] *= factor;
        }
      }
    }
    wait_for_copies<0>();
    __syncthreads();
    if (!is_needed) continue;
#pragma unroll
    for (int t = 0; t < kWideKeys / 16; ++t) {
      const float (&low)[4] = scores[2 * t], (&high)[4] = scores[2 * t + 1];
      const uint32_t weights[4] = {pair_of<T>(low[0], low[1]), pair_of<T>(low[2], low[3]), pair_of<T>(high[0], high[1]),
                                   pair_of<T>(high[2], high[3])};
#pragma unroll
      for (int c = 0; c < kSteps; ++c) {
        if (c >= columns) break;
        uint32_t part[4];
        load_turned_matrices(part,
                             values + (t * 16 + lane % 8 + lane / 8 % 2 * 8) * args.v_pitch + c * 16 + lane / 16 * 8);
        multiply(sums[2 * c], weights, part[0], part[1], T());
        multiply(sums[2 * c + 1], weights, part[2], part[3], T());
      }
    }
  }
#pragma unroll
  for (int h = 0; h < 2; ++h) {
    float total = totals[h] + __shfl_xor_sync(0xffffffffu, totals[h], 1);
    total += __shfl_xor_sync(0xffffffffu, total, 2);
    const int64_t row = first + row_here + h * 8;
    if (row >= rows) continue;
    const float factor = total == 0.0f ? 0.0f : 1.0f / total;
    const int64_t at = args.y.at(batch, head_of(row), row % args.queries);
#pragma unroll
    for (int c = 0; c < 2 * kSteps; ++c) {
      const int column = c * 8 + lane % 4 * 2;
      if (column >= args.v_size) continue;
      store_float(sums[c][h * 2] * factor, args.y.data, args.type, at + column);
      store_float(sums[c][h * 2 + 1] * factor, args.y.data, args.type, at + column + 1);
    }
  }
}

// ---- rows

const char* fits(const AttentionParams& params, const Descs& inputs, const Descs&) {
  const Desc q = inputs[kQuery], v = inputs[kValue];
  const int64_t size = AttentionParams::view("query", q.max(), q.rank(), params.num_heads).size;
  const int64_t v_size = AttentionParams::view("value", v.max(), v.rank(), params.num_kv_heads).size;
  return size > kMostSize || v_size > kMostSize ? "heads of more than 256 values" : nullptr;
}

const char* fits_halves(const AttentionParams& params, const Descs& inputs, const Descs&) {
  const Desc q = inputs[kQuery], v = inputs[kValue];
  const int64_t size = AttentionParams::view("query", q.max(), q.rank(), params.num_heads).size;
  const int64_t v_size = AttentionParams::view("value", v.max(), v.rank(), params.num_kv_heads).size;
  if (params.norm_op != kNormSoftmax) return "no softmax";
  if (size % 8 != 0 || v_size % 8 != 0) return "heads whose sizes are no multiples of 8";
  return size > kMostHalves || v_size > kMostHalves ? "heads of more than 128 values" : nullptr;
}

// Number of blocks in a grid, given the rows of each block. Throws if it is too large.
unsigned set_blocks(CudaAttention* args, int64_t rows_of_block) {
  args->blocks = divide_up(args->queries * args->group(), rows_of_block);
  const int64_t blocks = args->batch * args->kv_heads * args->blocks;
  if (blocks >> 31 != 0) fail(DT_SHAPE, "%lld blocks, more than a grid has", static_cast<long long>(blocks));
  return static_cast<unsigned>(blocks);
}

void enqueue(const AttentionParams& params, const Run& run) {
  CudaAttention args = {};
  static_cast<AttentionArgs&>(args) = attention_args(params, run);
  if (run.output(0).volume() == 0) return;
  if (args.size > kMostSize || args.v_size > kMostSize) fail(DT_UNSUPPORTED, "heads of more than 256 values");
  args.pitch = static_cast<int>(divide_up(args.size, 4)) * 4;
  if (args.pitch / 4 % 2 == 0) args.pitch += 4;
  args.v_pitch = static_cast<int>(divide_up(args.v_size, 32)) * 32;
  const int floats = (kRowsOfBlock + kTile) * args.pitch + kTile * args.v_pitch;
  launch(run, "attention", attention, set_blocks(&args, kRowsOfBlock), kBlock,
         static_cast<size_t>(floats) * sizeof(float), args);
}

// Do all rows begin at multiples of 16 bytes?
bool in_pieces(const AttentionArgs& args) {
  for (const AttentionTensor* t : {&args.q, &args.k, &args.v, &args.past_k, &args.past_v}) {
    if (!is_aligned(16, t->data) || t->batch % 8 != 0 || t->head % 8 != 0 || t->row % 8 != 0) return false;
  }
  return true;
}

void enqueue_halves(const AttentionParams& params, const Run& run) {
  CudaAttention args = {};
  static_cast<AttentionArgs&>(args) = attention_args(params, run);
  if (run.output(0).volume() == 0) return;
  if (!in_pieces(args)) return enqueue(params, run);
  if (args.size > kMostHalves || args.v_size > kMostHalves) fail(DT_UNSUPPORTED, "heads of more than 128 values");
  args.pitch = static_cast<int>(divide_up(args.size, 16)) * 16 + 8;  // 8: rows begin in different banks
  args.v_pitch = static_cast<int>(divide_up(args.v_size, 16)) * 16 + 8;
  const unsigned blocks = set_blocks(&args, kWideRows);
  const size_t bytes = static_cast<size_t>(kWideKeys * (args.pitch + args.v_pitch)) * 2;
  if (args.type == DT_TYPE_HALF) {
    launch(run, "attention_halves", attention_halves<__half>, blocks, kWideThreads, bytes, args);
  } else {
    launch(run, "attention_halves", attention_halves<__nv_bfloat16>, blocks, kWideThreads, bytes, args);
  }
}

constexpr Row<AttentionParams> kRows[] = {
    {.tactic = "halves",
     .needs = kBuiltSm,
     .types = kHalvesTypes,
     .formats = "linear",
     .fits = fits_halves,
     .enqueue = enqueue_halves,
     .traits = kCaptureSafe},
    {.tactic = "rows",
     .needs = kBuiltSm,
     .types = kAttentionTypes,
     .formats = "linear",
     .fits = fits,
     .enqueue = enqueue,
     .traits = kCaptureSafe},
};

}  // namespace

DOVETAIL_IMPLEMENTS("Attention@1#cuda", AttentionParams, kRows)
