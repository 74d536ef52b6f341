// SPDX-License-Identifier: Apache-2.0
// What the rows of Slice have in common on all devices.
#ifndef DOVETAIL_PLUGINS_SLICE_ROWS_HPP
#define DOVETAIL_PLUGINS_SLICE_ROWS_HPP

#include "slice.hpp"

// Start, sizes and strides are of one type, int32 or int64.
#define EITHER DOVETAIL_MOVED_TYPES "|" DOVETAIL_MOVED_TYPES
#define INTEGER "i32|i32|i32|i32|i32|i32|i32|i32|i64|i64|i64|i64|i64|i64|i64|i64"
constexpr char kSliceTypes[] = EITHER " " INTEGER " " INTEGER " " INTEGER " " EITHER " -> " EITHER;
#undef EITHER
#undef INTEGER

// The window; start and stride from the fields where there are no tensors, else 0 and 1.
inline dovetail::Window window_of(const SliceParams& params, const dovetail::Run& run) {
  const dovetail::Tensor x = run.input(kSliced), y = run.output(0);
  const bool has_start = !run.has_input(kStart), has_stride = !run.has_input(kStride);
  dovetail::Window window = params.window(x.dims(), y.dims(), x.rank(), has_start, has_stride);
  window.bytes = dovetail::size_of(x.type());
  return window;
}

// A window that reaches over no edge, as a copy.
inline dovetail::StridedCopy strided_copy_of(const dovetail::Window& window) {
  dovetail::StridedCopy copy(window.bytes);
  int64_t to = 1;
  for (int i = window.rank - 1; i >= 0; --i) {
    const dovetail::Window::Axis& axis = window.axes[i];
    copy.axes[i] = {axis.count, axis.step * axis.distance, to};
    copy.from += axis.start * axis.distance;
    to *= axis.count;
  }
  copy.rank = window.rank;
  return copy;
}

#endif
