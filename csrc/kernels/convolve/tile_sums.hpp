// SPDX-License-Identifier: Apache-2.0
// Long sums of a tile whose sums are in registers.
#ifndef DOVETAIL_KERNELS_CONVOLVE_TILE_SUMS_HPP
#define DOVETAIL_KERNELS_CONVOLVE_TILE_SUMS_HPP

#include "kernels/convolve/finish.hpp"

namespace DT_ISA {
namespace {

// The sums of a tile, those of a long sum in blocks: registers to `block`, some blocks to `group`, groups to `all`.
template <int outputs, int v>
struct TileSums {
  static constexpr int64_t kTerms = 512;  // of a block; with fewer the additions here would show
  const bool is_long;
  const int64_t channels;  // of a block, a multiple of kBlock
  int64_t n_blocks = 0;
  VecF group[outputs][v], all[outputs][v];

  TileSums(int64_t taps, int64_t all_channels)
      : is_long(taps * all_channels > kTerms),
        channels(is_long ? (kTerms + taps * kBlock - 1) / (taps * kBlock) * kBlock : all_channels) {
    for (int p = 0; is_long && p < outputs; ++p) {
      for (int i = 0; i < v; ++i) group[p][i] = all[p][i] = VecF{};
    }
  }
  // Calls, and copies for them, keep the sums of all others in registers.
  inline __attribute__((always_inline)) void end_block(VecF (&sum)[outputs][v]) {
    if (!is_long) return;
    VecF room[outputs * v];
#pragma GCC unroll 32
    for (int p = 0; p < outputs; ++p) {
#pragma GCC unroll 4
      for (int i = 0; i < v; ++i) {
        room[p * v + i] = sum[p][i];
        sum[p][i] = VecF{};
      }
    }
    add(room);
  }
  __attribute__((noinline)) void add(const VecF* sum) {
    for (int p = 0; p < outputs; ++p) {
      for (int i = 0; i < v; ++i) group[p][i] += sum[p * v + i];
    }
    if (++n_blocks % 32 == 0) end_group();
  }
  __attribute__((noinline)) void end_group() {
    for (int p = 0; p < outputs; ++p) {
      for (int i = 0; i < v; ++i) {
        all[p][i] += group[p][i];
        group[p][i] = VecF{};
      }
    }
  }
  inline __attribute__((always_inline)) void end(VecF (&sum)[outputs][v]) {
    if (!is_long) return;
    end_group();
#pragma GCC unroll 32
    for (int p = 0; p < outputs; ++p) {
#pragma GCC unroll 4
      for (int i = 0; i < v; ++i) sum[p][i] += all[p][i];
    }
  }
};

}  // namespace
}  // namespace DT_ISA

#endif
