// SPDX-License-Identifier: Apache-2.0
// Convolution of bfloat16 to blocks of 16 maps (CHW16) in the tile registers of AMX; sums are float32. The inputs of some
// outputs are copied once, in the order in which tiles want them, and multiplied by all panels of weights.
// k runs over [tap][channel, up to whole blocks of 16] of a CHW16 tensor, and over [channel][row of taps][taps of that
// row, up to whole eights] of a linear one.
// Weights: [group][block of 16 maps][chunk of 32 k][pair of k][16 maps][2], zeros behind the last map and the last k.
#ifndef DOVETAIL_KERNELS_CONVOLVE_AMX_HPP
#define DOVETAIL_KERNELS_CONVOLVE_AMX_HPP

#include "kernels/convolve/finish.hpp"
#include "kernels/simd/convert.hpp"
#include "kernels/simd/tiles.hpp"

namespace DT_ISA {
namespace {

constexpr int64_t kChunk = 32;                   // k of a tile
constexpr int64_t kTilesAtOnce = 2 * kTileRows;  // outputs of two tiles of sums
// Chunks of a block of a sum: chains of float32 additions stay short.
constexpr int64_t kSumChunks = 64;
static_assert(kTileBytes == kChunk * kTileRows * 2, "a tile has 32 bfloat16 in a row");

// Outputs [first, first + n) of a group of an image, numbered over the rows of a phase.
struct OutputBlock {
  int64_t image, group, first, n;
  int64_t chunk() const { return (n + kTileRows - 1) / kTileRows * kTileRows * kChunk; }  // elements of the copy
};

// Neighbours of a block in one row of outputs: those that the block has from its output `done` on.
struct OutputRun {
  int64_t row, column, n;
  OutputRun(const ConvolveArgs& args, const OutputBlock& block, int64_t done) {
    const int64_t count = args.axis[2].count, at = block.first + done;
    row = at / count;
    column = at % count;
    n = count - column < block.n - done ? count - column : block.n - done;
  }
};

// Of n outputs whose inputs are `step` apart, the first at w: those whose inputs are in [0, in).
struct Inside {
  int64_t begin, end;
  Inside(int64_t w, int64_t step, int64_t n, int64_t in) {
    begin = w < 0 ? (-w + step - 1) / step : 0;
    begin = begin < n ? begin : n;
    end = w < in ? (in - 1 - w) / step + 1 : 0;
    end = end < begin ? begin : end < n ? end : n;
  }
};

inline void store_block(uint16_t* p, __m256i v) { _mm256_store_si256(reinterpret_cast<__m256i*>(p), v); }

// Lanes of a block of which n are channels, or more; the others may hold anything.
inline __mmask16 lanes_of(int64_t n) { return static_cast<__mmask16>(n < kBlock ? (1u << n) - 1 : 0xffffu); }

// The inputs of a block from a CHW16 tensor: [chunk][output][32].
inline void copy_blocks(const ConvolveArgs& args, const OutputBlock& block, uint16_t* to) {
  const ConvolveAxis &b = args.axis[1], &c = args.axis[2];
  const int64_t blocks = blocks_of(args.channels), plane = b.in * c.in * kBlock, chunk = block.chunk();
  const int64_t step = c.in_step * kBlock, entries = b.taps * c.taps * blocks;
  const uint16_t* const x =
      static_cast<const uint16_t*>(args.x) + (block.image * args.groups + block.group) * blocks * plane;
  const __m256i zeros = _mm256_setzero_si256();
  for (int64_t done = 0; done < block.n;) {
    const OutputRun run(args, block, done);
    uint16_t* const cells = to + done * kChunk;
    for (int64_t tap = 0, entry = 0; tap < b.taps * c.taps; ++tap) {
      const int64_t h = run.row * b.in_step + b.off_first + tap / c.taps * b.off_step;
      const int64_t w = run.column * c.in_step + c.off_first + tap % c.taps * c.off_step;
      const bool is_row = h >= 0 && h < b.in;
      const Inside inside(w, c.in_step, is_row ? run.n : 0, c.in);
      const int64_t offset = is_row ? (h * c.in + w + inside.begin * c.in_step) * kBlock : 0;
      int64_t k = 0;
      for (; entry % 2 == 0 && k + 2 <= blocks; k += 2, entry += 2) {  // a whole line of the cache each
        const __mmask16 lanes = lanes_of(args.channels - (k + 1) * kBlock);
        uint16_t* const cell = cells + entry / 2 * chunk;
        const uint16_t *from = x + k * plane + offset, *const end = from + (inside.end - inside.begin) * step;
        for (int64_t i = 0; i < inside.begin; ++i) _mm512_store_si512(cell + i * kChunk, _mm512_setzero_si512());
        for (uint16_t* at = cell + inside.begin * kChunk; from != end; from += step, at += kChunk) {
          const __m256i first = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
          const __m256i second = _mm256_maskz_loadu_epi16(lanes, from + plane);
          _mm512_store_si512(at, _mm512_inserti64x4(_mm512_castsi256_si512(first), second, 1));
        }
        for (int64_t i = inside.end; i < run.n; ++i) _mm512_store_si512(cell + i * kChunk, _mm512_setzero_si512());
      }
      for (; k < blocks; ++k, ++entry) {
        const __mmask16 lanes = lanes_of(args.channels - k * kBlock);
        uint16_t* const cell = cells + entry / 2 * chunk + entry % 2 * kBlock;
        const uint16_t* from = x + k * plane + offset;
        for (int64_t i = 0; i < inside.begin; ++i) store_block(cell + i * kChunk, zeros);
        for (int64_t i = inside.begin; i < inside.end; ++i, from += step)
          store_block(cell + i * kChunk, _mm256_maskz_loadu_epi16(lanes, from));
        for (int64_t i = inside.end; i < run.n; ++i) store_block(cell + i * kChunk, zeros);
      }
    }
    for (int64_t i = 0; entries % 2 != 0 && i < run.n; ++i)
      store_block(cells + entries / 2 * chunk + kBlock + i * kChunk, zeros);
    done += run.n;
  }
  finish_stores(to);
}

constexpr int64_t kTapsOfEntry = 8;
inline void store_taps(uint16_t* p, __m128i v) { _mm_store_si128(reinterpret_cast<__m128i*>(p), v); }

// The inputs of a block from a linear tensor: taps of a row lie side by side, those outside of x are not read.
inline void copy_windows(const ConvolveArgs& args, const OutputBlock& block, uint16_t* to) {
  const ConvolveAxis &b = args.axis[1], &c = args.axis[2];
  const int64_t plane = b.in * c.in, chunk = block.chunk();
  const uint16_t* const x = static_cast<const uint16_t*>(args.x) + block.image * args.channels * plane;
  constexpr int64_t kEntries = kChunk / kTapsOfEntry;
  for (int64_t done = 0; done < block.n;) {
    const OutputRun run(args, block, done);
    uint16_t* const cells = to + done * kChunk;
    int64_t entry = 0;
    for (int64_t row = 0; row < args.channels * b.taps; ++row) {
      const int64_t h = run.row * b.in_step + b.off_first + row % b.taps * b.off_step;
      const bool is_row = h >= 0 && h < b.in;
      const uint16_t* const from = x + row / b.taps * plane + (is_row ? h * c.in : 0);
      for (int64_t tap = 0; tap < c.taps; tap += kTapsOfEntry, ++entry) {
        const int64_t taps = c.taps - tap < kTapsOfEntry ? c.taps - tap : kTapsOfEntry;
        const uint32_t all = is_row ? (1u << taps) - 1 : 0;
        uint16_t* cell = cells + entry / kEntries * chunk + entry % kEntries * kTapsOfEntry;
        int64_t w = run.column * c.in_step + c.off_first + tap;
        for (int64_t i = 0; i < run.n; ++i, w += c.in_step, cell += kChunk) {
          uint32_t mask = all;
          if (w < 0) mask = w > -kTapsOfEntry ? mask >> -w << -w : 0;
          if (w + kTapsOfEntry > c.in) mask = w < c.in ? mask & ((1u << (c.in - w)) - 1) : 0;
          const void* const at =
              reinterpret_cast<const void*>(reinterpret_cast<uintptr_t>(from) + static_cast<uintptr_t>(w) * 2);
          store_taps(cell, _mm_maskz_loadu_epi16(static_cast<__mmask8>(mask), at));
        }
      }
    }
    for (; entry % kEntries != 0; ++entry) {
      uint16_t* const cell = cells + entry / kEntries * chunk + entry % kEntries * kTapsOfEntry;
      for (int64_t i = 0; i < run.n; ++i) store_taps(cell + i * kChunk, _mm_setzero_si128());
    }
    done += run.n;
  }
  finish_stores(to);
}

// out[block of maps][kTilesAtOnce outputs][16] of m tiles of outputs and n blocks of maps, over some chunks.
template <int m, int n>
void multiply_chunks(const uint16_t* a, int64_t a_chunk, const uint16_t* b, int64_t b_block, int64_t chunks,
                     float* out) {
  constexpr int64_t kTile = kTileRows * kChunk;
  _tile_zero(0);
  if constexpr (n == 2) _tile_zero(1);
  if constexpr (m == 2) _tile_zero(2);
  if constexpr (m == 2 && n == 2) _tile_zero(3);
  for (int64_t i = 0; i < chunks; ++i, a += a_chunk, b += kTile) {
    _tile_loadd(4, a, kTileRowBytes);
    _tile_loadd(6, b, kTileRowBytes);
    _tile_dpbf16ps(0, 4, 6);
    if constexpr (m == 2) {
      _tile_loadd(5, a + kTile, kTileRowBytes);
      _tile_dpbf16ps(2, 5, 6);
    }
    if constexpr (n == 2) {
      _tile_loadd(7, b + b_block, kTileRowBytes);
      _tile_dpbf16ps(1, 4, 7);
      if constexpr (m == 2) _tile_dpbf16ps(3, 5, 7);
    }
  }
  constexpr int64_t kSums = kTileRows * kBlock;
  _tile_stored(0, out, kTileRowBytes);
  if constexpr (m == 2) _tile_stored(2, out + kSums, kTileRowBytes);
  if constexpr (n == 2) _tile_stored(1, out + 2 * kSums, kTileRowBytes);
  if constexpr (m == 2 && n == 2) _tile_stored(3, out + 3 * kSums, kTileRowBytes);
}

typedef void (*MultiplyChunks)(const uint16_t* a, int64_t a_chunk, const uint16_t* b, int64_t b_block, int64_t chunks,
                               float* out);

// The same over all chunks, in blocks of the sum.
inline void multiply_all(MultiplyChunks run, const uint16_t* a, int64_t a_chunk, const uint16_t* b, int64_t chunks,
                         float* out) {
  const int64_t b_block = chunks * kChunk * kBlock;
  run(a, a_chunk, b, b_block, chunks < kSumChunks ? chunks : kSumChunks, out);
  for (int64_t i = kSumChunks; i < chunks; i += kSumChunks) {
    alignas(64) float more[2 * kTilesAtOnce * kBlock];
    run(a + i * a_chunk, a_chunk, b + i * kChunk * kBlock, b_block, chunks - i < kSumChunks ? chunks - i : kSumChunks,
        more);
    for (int64_t k = 0; k < 2 * kTilesAtOnce * kBlock; k += kLanes) store(out + k, load(out + k) + load(more + k));
  }
}

inline VecF widened(const uint16_t* p) {
  return reinterpret_cast<VecF>(
      _mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))), 16));
}

// What is done to the sums of n outputs and one block of maps, and where they go.
class BlockEnd {
 public:
  BlockEnd(const ConvolveArgs& args, const OutputBlock& block)
      : args_(args), finish_(args, DT_TYPE_BF16), block_(block) {
    const ConvolveAxis &b = args.axis[1], &c = args.axis[2];
    is_dense_ = b.out_step == 1 && c.out_step == 1 && c.count == c.out;
  }

  // Outputs [done, done + n) of the block and maps from 16 * map_block on; sums: [n][16].
  void write(int64_t map_block, int64_t done, int64_t n, float* sums) {
    const ConvolveAxis &b = args_.axis[1], &c = args_.axis[2];
    const int64_t map = map_block * kBlock, left = args_.maps - map;
    const int64_t blocks = blocks_of(args_.maps), plane = b.out * c.out * kBlock;
    const int64_t of_all = (block_.image * args_.groups + block_.group) * blocks + map_block;
    uint16_t* const y = static_cast<uint16_t*>(args_.y) + of_all * plane;
    int64_t out[kTilesAtOnce];
    for (int64_t i = 0; i < n; ++i) {
      const int64_t at = block_.first + done + i;
      if (is_dense_) {
        out[i] = (b.out_first * c.out + at) * kBlock;
      } else {
        const int64_t row = b.out_first + at / c.count * b.out_step;
        out[i] = (row * c.out + c.out_first + at % c.count * c.out_step) * kBlock;
      }
    }
    if (args_.bias) {
      const VecF bias = bias_lanes(args_.bias + block_.group * args_.maps + map, 0, left);
      for (int64_t i = 0; i < n; ++i) store(sums + i * kBlock, load(sums + i * kBlock) + bias);
    }
    if (finish_.is_all) {
      apply(sums, n, static_cast<const uint16_t*>(finish_.residual) + of_all * plane, out);
    } else {
      EpilogueTile tile = {sums, kBlock, static_cast<int>(n), static_cast<int>(left < kBlock ? left : kBlock)};
      tile.offset = of_all * plane + (is_dense_ ? out[0] : 0);
      tile.row_step = kBlock;
      tile.row_offsets = is_dense_ ? nullptr : out;
      tile.image = block_.image;
      tile.channel = block_.group * args_.maps + map;
      tile.column_channel = 1;
      apply_epilogue(*args_.epilogue, tile);
    }
    const __mmask16 maps = lanes_of(left);
    for (int64_t i = 0; i < n; ++i) {
      const __m512 v = _mm512_maskz_mov_ps(maps, static_cast<__m512>(load(sums + i * kBlock)));
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(y + out[i]), reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(v)));
    }
  }

 private:
  void apply(float* sums, int64_t n, const uint16_t* residual, const int64_t* out) const {
    for (int64_t i = 0; finish_.residual && i < n; ++i)
      store(sums + i * kBlock, load(sums + i * kBlock) + widened(residual + out[i]));
    for (int64_t i = 0; finish_.has_silu && i < n; ++i) {
      const VecF v = load(sums + i * kBlock);
      store(sums + i * kBlock, v * sigmoid_f(v));
    }
    if (!finish_.is_clamped) return;
    const VecF most = splat(finish_.high), least = splat(finish_.low);
    for (int64_t i = 0; i < n; ++i) store(sums + i * kBlock, at_least(at_most(load(sums + i * kBlock), most), least));
  }

  const ConvolveArgs& args_;
  const Finish finish_;
  const OutputBlock& block_;
  bool is_dense_;  // outputs that follow each other lie side by side
};

}  // namespace

// Items [first, last): images, groups, blocks of args.block outputs; panels of two blocks of maps. scratch has room for
// args.block outputs, up to whole tiles, times whole chunks.
void convolve_amx(const ConvolveArgs& args, int64_t first, int64_t last, int64_t first_panel, int64_t last_panel,
                  void* scratch) {
  const ConvolveAxis &b = args.axis[1], &c = args.axis[2];
  const int64_t outputs = b.count * c.count, blocks = (outputs + args.block - 1) / args.block;
  const int64_t row = args.x_is_linear ? (c.taps + kTapsOfEntry - 1) / kTapsOfEntry * kTapsOfEntry * args.channels
                                       : c.taps * blocks_of(args.channels) * kBlock;
  const int64_t chunks = (b.taps * row + kChunk - 1) / kChunk, map_blocks = blocks_of(args.maps);
  const int64_t of_block = chunks * kChunk * kBlock;  // weights of a block of maps
  uint16_t* const copy = static_cast<uint16_t*>(scratch);
  alignas(64) float out[2 * kTilesAtOnce * kBlock] = {};
  const TileScope scope;
  for (int64_t item = first; item < last; ++item) {
    const int64_t begin = item % blocks * args.block, left = outputs - begin, unit = item / blocks;
    const OutputBlock block = {unit / args.groups, unit % args.groups, begin, left < args.block ? left : args.block};
    (args.x_is_linear ? copy_windows : copy_blocks)(args, block, copy);
    BlockEnd end(args, block);
    for (int64_t panel = first_panel; panel < last_panel; ++panel) {
      const int64_t map_block = 2 * panel;
      const bool is_pair = map_block + 1 < map_blocks;
      const uint16_t* const w =
          static_cast<const uint16_t*>(args.weights) + (block.group * map_blocks + map_block) * of_block;
      for (int64_t i = 0; i < block.n; i += kTilesAtOnce) {
        const int64_t n = block.n - i < kTilesAtOnce ? block.n - i : kTilesAtOnce;
        const MultiplyChunks run = n > kTileRows ? is_pair ? multiply_chunks<2, 2> : multiply_chunks<2, 1>
                                   : is_pair     ? multiply_chunks<1, 2>
                                                 : multiply_chunks<1, 1>;
        multiply_all(run, copy + i * kChunk, block.chunk(), w, chunks, out);
        end.write(map_block, i, n, out);
        if (is_pair) end.write(map_block + 1, i, n, out + kTilesAtOnce * kBlock);
      }
    }
  }
}

}  // namespace DT_ISA

#endif
