// SPDX-License-Identifier: Apache-2.0
// What the rows hand to the kernels of Resize.
#ifndef DOVETAIL_PLUGINS_RESIZE_CPU_KERNELS_HPP
#define DOVETAIL_PLUGINS_RESIZE_CPU_KERNELS_HPP

#include <stdint.h>

#include "dovetail/detail/isa.hpp"

constexpr int64_t kResizeColumns = 4096;  // of a unit of rows that are not resized themselves

// Cells and weights of an axis: [taps, n]. taps is 0 where an axis is not resized.
struct ResizeTable {
  int64_t taps, n;
  const int32_t* cells;
  const float* weights;
};

// x is [outer, in, row_in], y [outer, out, row_out]: weighted sums of rows, which are resized themselves or not.
struct ResizeBlend {
  const void* x;
  void* y;
  int32_t x_type, y_type;
  int64_t outer, in, out;
  int64_t row_in, row_out;
  int64_t inner;  // `across` counts groups of this many elements of a row
  ResizeTable down, across;
  int64_t n_kept;         // rows that a thread keeps as they were resized
  int64_t scratch_bytes;  // of a thread

  int64_t chunks() const { return across.taps ? 1 : (row_out + kResizeColumns - 1) / kResizeColumns; }
  int64_t chunk() const { return across.taps || row_out < kResizeColumns ? row_out : kResizeColumns; }
  int64_t units() const { return outer * chunks() * out; }
};

// y is [out[0], ..., out[n - 1], row_out]; group i of `block` neighbours in a row is group across[i] of the row of x.
struct ResizeMove {
  const void* x;
  void* y;
  int64_t element_bytes;
  int32_t n;
  int64_t out[9], stride[9];  // stride in elements of x
  const int32_t* cells[9];    // null where an axis is not resized
  int64_t row_in, row_out, block;
  const int32_t* across;  // null: rows are taken as they are
};

// Units [first, last) of a blend, with scratch of a thread; rows [first, last) of a move.
DOVETAIL_KERNELS(void resize_blend(const ResizeBlend& blend, int64_t first, int64_t last, void* scratch);
                 void resize_move(const ResizeMove& move, int64_t first, int64_t last);)

#endif
