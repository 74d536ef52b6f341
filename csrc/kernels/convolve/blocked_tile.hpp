// SPDX-License-Identifier: Apache-2.0
// Convolution that writes blocks of 16 maps (CHW16): what a kernel of a tile is told, and which kernels there are. Each kind
// is compiled in a file of its own, since together they take minutes.
#ifndef DOVETAIL_KERNELS_CONVOLVE_BLOCKED_TILE_HPP
#define DOVETAIL_KERNELS_CONVOLVE_BLOCKED_TILE_HPP

#include "kernels/convolve/args.hpp"
#include "kernels/convolve/finish.hpp"

namespace DT_ISA {

// Registers: outputs x vectors of sums, the vectors of weights, one input.
constexpr int kMapBlocks = kLanes == 16 ? 2 : 1;
constexpr int kOutputs = kLanes == 16 ? 14 : kLanes == 8 ? 6 : 2;
static_assert(kOutputs * kMapBlocks * kVectors + kMapBlocks * kVectors < kRegisters, "sums stay in registers");
// Of a 1x1 kernel that moves by one, where an input times one vector of weights is one instruction: as many sums of one
// block of maps. 0: none for this tile.
constexpr int kPointwiseOutputs = kLanes == 16 ? 28 : 0;
constexpr int kMostOutputs = kPointwiseOutputs > kOutputs ? kPointwiseOutputs : kOutputs;
static_assert(kPointwiseOutputs + 1 < kRegisters, "sums stay in registers");
// Of such a kernel whose inputs are multiplied by factors of their channels: the weights are, once for a tile.
constexpr int kGatedOutputs = kPointwiseOutputs > 0 ? kPointwiseOutputs : kOutputs;

// A tile of outputs times some blocks of maps: outputs that follow each other, in one row unless `is_flat`.
struct BlockedTile {
  Finish finish;
  const float* x;  // of this image and group
  float* to;       // where the sums go: the first output of the first block
  int64_t to_block;
  bool is_far;    // `to` is in no near cache
  bool is_first;  // x is in no near cache
  const float* weights;
  int64_t weight_block;
  const float* gate;   // of this image's channels, or null
  const float* bias;   // of the first map, or null
  int64_t maps;        // from the first map of the tile to the group's end
  const float* next;   // weights that are needed soon, or null
  int64_t next_lines;  // of them, with each tap of 16 channels: in small portions, which arrive while others run
  bool is_flat;
  int64_t h, w;                        // first input's row and column
  int64_t hs[kOutputs], ws[kOutputs];  // of a flat tile: those of each output
  int64_t out[kMostOutputs];           // offsets from `to`
  // Of a flat tile of few taps: where each tap meets x in the first block of channels; -1 outside of it.
  static constexpr int64_t kMostTaps = 32;
  bool has_inputs;
  int32_t inputs[kMostTaps][kOutputs];

  // Shares of the weights behind those of `n_here` blocks, of the `n_blocks` that are next, among the tiles of the chunk.
  void prefetch(int64_t tile, int64_t n_tiles, int64_t n_steps, int64_t n_here, int64_t n_blocks) {
    const int64_t lines = n_blocks * weight_block / 16, steps = n_tiles * n_steps;
    next_lines = steps > 0 ? (lines + steps - 1) / steps : 0;  // a phase may have no tap
    const int64_t done = tile * n_steps * next_lines;
    next = done < lines ? weights + n_here * weight_block + done * 16 : nullptr;
  }

  // Where n outputs from (row, column) on have their inputs; and where they lie in y, from the first on.
  int64_t locate(const ConvolveArgs& args, int64_t n, int64_t row, int64_t column) {
    const ConvolveAxis &b = args.axis[1], &c = args.axis[2];
    const int64_t first = ((b.out_first + row * b.out_step) * c.out + c.out_first + column * c.out_step) * kBlock;
    h = row * b.in_step + b.off_first;
    w = column * c.in_step + c.off_first;
    for (int64_t p = 0; p < n; ++p) out[p] = p * c.out_step * kBlock;
    for (int64_t p = 0; is_flat && p < n; ++p) {
      hs[p] = row * b.in_step + b.off_first;
      ws[p] = column * c.in_step + c.off_first;
      out[p] = ((b.out_first + row * b.out_step) * c.out + c.out_first + column * c.out_step) * kBlock - first;
      if (++column == c.count) {
        column = 0;
        ++row;
      }
    }
    has_inputs = is_flat && b.taps * c.taps <= kMostTaps && b.in * c.in <= INT32_MAX / kBlock;
    if (has_inputs) find_all(b, c, n);
    return first;
  }
  void find_all(const ConvolveAxis& b, const ConvolveAxis& c, int64_t n) {
    for (int64_t tap = 0; tap < b.taps * c.taps; ++tap) {
      const int64_t dh = tap / c.taps * b.off_step, dw = tap % c.taps * c.off_step;
      for (int64_t p = 0; p < n; ++p) {
        const int64_t h = hs[p] + dh, w = ws[p] + dw;
        const bool is_inside = h >= 0 && h < b.in && w >= 0 && w < c.in;
        inputs[tap][p] = is_inside ? static_cast<int32_t>((h * c.in + w) * kBlock) : -1;
      }
    }
  }
  int64_t row_of(int p) const { return is_flat ? hs[p] : h; }
  int64_t column_of(const ConvolveAxis& c, int p) const { return is_flat ? ws[p] : w + p * c.in_step; }
};

typedef void (*BlockedKernel)(const ConvolveArgs& args, const BlockedTile& tile);

// Kernels of n outputs; blocked and stem: of `blocks` blocks of maps, where outputs are `step` apart. x is CHW16, of a
// stem linear. pointwise and gated: of a 1x1 kernel that moves by one, one block of maps, gated with factors of channels.
BlockedKernel blocked_kernel(int64_t n, int64_t blocks, int64_t step);
BlockedKernel stem_kernel(int64_t n, int64_t blocks, int64_t step);
BlockedKernel pointwise_kernel(int64_t n);
BlockedKernel gated_kernel(int64_t n);

}  // namespace DT_ISA

#endif
