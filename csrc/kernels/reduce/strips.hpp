// SPDX-License-Identifier: Apache-2.0
// Iterates over the elements of one result, or of several neighbouring results, as float32.
#ifndef DOVETAIL_KERNELS_REDUCE_STRIPS_HPP
#define DOVETAIL_KERNELS_REDUCE_STRIPS_HPP

#include "kernels/reduce/reduction.hpp"
#include "kernels/simd/convert.hpp"

namespace DT_ISA {

constexpr int64_t kStripColumns = 256;  // results that are computed at once where columns are kept
constexpr int64_t kStripChunk = 1024;   // elements of a row that are loaded at once

struct Strip {
  const void* x;
  int32_t type;
  const Reduction* over;
  Strips strips;
  int64_t base, other;  // offset of its first element in x, and in the tensor that is broadcast over x
  int64_t columns;      // results beside one another; 1 where the innermost axis is reduced
};

// Pieces of work: rows, or strips of at most kStripColumns columns.
static inline int64_t strip_items(const Reduction& over) {
  const Strips s = strips_of(over);
  return over.inner_is_reduced ? s.items : s.items * ((s.inner.n + kStripColumns - 1) / kStripColumns);
}

static inline Strip strip_at(const void* x, int32_t type, const Reduction& over, int64_t item) {
  Strip strip = {x, type, &over, strips_of(over), 0, 0, 1};
  const ReductionAxis& inner = strip.strips.inner;
  const int64_t pieces = over.inner_is_reduced ? 1 : (inner.n + kStripColumns - 1) / kStripColumns;
  strip.base = offset_of(over.kept, strip.strips.n_kept, item / pieces, &strip.other);
  if (!over.inner_is_reduced) {
    const int64_t column = item % pieces * kStripColumns;
    strip.base += column;
    strip.other += column * inner.other;
    strip.columns = inner.n - column < kStripColumns ? inner.n - column : kStripColumns;
  }
  return strip;
}

// body(values, at, other, n) for all its elements in pieces: of a row, or one of each column. `at` is where they lie.
template <class Body>
static inline void each_piece(const Strip& strip, const Body& body) {
  float chunk[kStripChunk];
  const ReductionAxis& inner = strip.strips.inner;
  const int64_t length = strip.over->inner_is_reduced ? inner.n : strip.columns;
  for (int64_t run = 0; run < strip.strips.runs; ++run) {
    int64_t other;
    const int64_t at = strip.base + offset_of(strip.over->reduced, strip.strips.n_reduced, run, &other);
    other += strip.other;
    for (int64_t i = 0, n; i < length; i += n) {
      n = length - i < kStripChunk ? length - i : kStripChunk;
      const float* values = static_cast<const float*>(strip.x) + at + i;
      if (strip.type != kF32) {
        load_floats(strip.x, strip.type, at + i, chunk, n);
        values = chunk;
      }
      body(values, at + i, other + i * inner.other, n);
    }
  }
}

}  // namespace DT_ISA

#endif
