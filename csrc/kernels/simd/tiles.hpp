// SPDX-License-Identifier: Apache-2.0
// The tile registers of AMX: eight of 16 rows of 64 bytes. A product of two tiles adds, to each of 16 x 16 sums of 32
// bits, 64 products of bytes or 32 of bfloat16; the second factor has, in each row, four or two neighbours in k of 16
// columns. For instruction sets that have them.
#ifndef DOVETAIL_KERNELS_SIMD_TILES_HPP
#define DOVETAIL_KERNELS_SIMD_TILES_HPP

#include "kernels/simd/vec.hpp"

namespace DT_ISA {
namespace {

constexpr int kTileRows = 16, kTileRowBytes = 64;
constexpr int64_t kTileBytes = kTileRows * kTileRowBytes;

// Stores are in memory afterwards. Compilers may not know which memory a tile load reads, and store to it later.
inline void finish_stores(const void* p) { __asm__ volatile("" : : "r"(p) : "memory"); }

// Whole tiles for this thread until the end of the scope. Behind it the registers are free, so that the operating system
// does not save them and the core may switch their power off.
class TileScope {
 public:
  TileScope() {
    struct alignas(64) {
      uint8_t palette, start_row, reserved[14];
      uint16_t row_bytes[16];
      uint8_t rows[16];
    } whole = {};
    whole.palette = 1;
    for (int i = 0; i < 8; ++i) {
      whole.row_bytes[i] = kTileRowBytes;
      whole.rows[i] = kTileRows;
    }
    finish_stores(&whole);
    _tile_loadconfig(&whole);
  }
  ~TileScope() { _tile_release(); }
  TileScope(const TileScope&) = delete;
  TileScope& operator=(const TileScope&) = delete;
};

}  // namespace
}  // namespace DT_ISA

#endif
