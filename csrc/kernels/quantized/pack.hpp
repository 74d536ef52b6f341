// SPDX-License-Identifier: Apache-2.0
// Panels of a matrix that is not known before it is multiplied.
#ifndef DOVETAIL_KERNELS_QUANTIZED_PACK_HPP
#define DOVETAIL_KERNELS_QUANTIZED_PACK_HPP

#include <string.h>

#include "kernels/quantized/args.hpp"

namespace DT_ISA {
namespace {

typedef int8_t PackedRow __attribute__((vector_size(kQuantizedColumns)));  // of k, in a panel
typedef int16_t PackedPairs __attribute__((vector_size(kQuantizedColumns)));
typedef int16_t RowTotals __attribute__((vector_size(2 * kQuantizedColumns)));

constexpr int64_t kRowsOfTotal = 128;  // that a sum of 16 bits holds

// 16 columns of a row, of which there are `width`; others are 0.
inline PackedRow packed_row(const uint8_t* x, int64_t width, uint8_t flip) {
  uint8_t bytes[kQuantizedColumns] = {};
  if (width == kQuantizedColumns) {
    memcpy(bytes, x, kQuantizedColumns);
  } else {
    memset(bytes, flip, kQuantizedColumns);  // becomes 0
    memcpy(bytes, x, static_cast<size_t>(width));
  }
  PackedRow row;
  memcpy(&row, bytes, sizeof(row));
  return row ^ static_cast<int8_t>(flip);
}

// Four rows as [column][4].
inline void store_fours(const PackedRow* rows, int8_t* to) {
  typedef PackedRow V;
  const V low = {0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23};
  const V high = {8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
  const PackedPairs low_pairs = {0, 8, 1, 9, 2, 10, 3, 11}, high_pairs = {4, 12, 5, 13, 6, 14, 7, 15};
  for (int half = 0; half < 2; ++half) {
    const V order = half == 0 ? low : high;
    const PackedPairs front = reinterpret_cast<PackedPairs>(__builtin_shuffle(rows[0], rows[1], order));
    const PackedPairs back = reinterpret_cast<PackedPairs>(__builtin_shuffle(rows[2], rows[3], order));
    const PackedPairs first = __builtin_shuffle(front, back, low_pairs);
    const PackedPairs second = __builtin_shuffle(front, back, high_pairs);
    memcpy(to + 32 * half, &first, sizeof(first));
    memcpy(to + 32 * half + 16, &second, sizeof(second));
  }
}

}  // namespace

void quantized_pack(const QuantizedPack& args, int64_t first, int64_t last) {
  for (int64_t panel = first; panel < last; ++panel) {
    const int64_t column = panel * kQuantizedColumns, left = args.n - column;
    const int64_t width = left < kQuantizedColumns ? left : kQuantizedColumns;
    int8_t* to = args.to + panel * args.entries * kQuantizedEntryBytes;
    int32_t sums[kQuantizedColumns] = {};
    RowTotals totals = {};
    for (int64_t k = 0; k < args.entries * kQuantizedEntry; k += 4, to += 4 * kQuantizedColumns) {
      PackedRow rows[4] = {};
      for (int64_t i = 0; i < 4 && k + i < args.k; ++i) {
        rows[i] = packed_row(args.b + (k + i) * args.n + column, width, args.flip);
        totals += __builtin_convertvector(rows[i], RowTotals);
      }
      store_fours(rows, to);
      if ((k + 4) % kRowsOfTotal != 0) continue;
      for (int64_t c = 0; c < kQuantizedColumns; ++c) sums[c] += totals[c];
      totals = RowTotals{};
    }
    for (int64_t c = 0; c < kQuantizedColumns; ++c) {
      args.sums[panel * kQuantizedColumns + c] = sums[c] + totals[c];
    }
  }
}

}  // namespace DT_ISA

#endif
