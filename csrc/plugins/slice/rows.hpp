// SPDX-License-Identifier: Apache-2.0
// What the rows of Slice have in common on all devices.
#ifndef DOVETAIL_PLUGINS_SLICE_ROWS_HPP
#define DOVETAIL_PLUGINS_SLICE_ROWS_HPP

#include "dovetail/windowed_copy.hpp"
#include "slice.hpp"

// Start, sizes and strides are of one type, int32 or int64.
#define EITHER DOVETAIL_MOVED_TYPES "|" DOVETAIL_MOVED_TYPES
#define INTEGER "i32|i32|i32|i32|i32|i32|i32|i32|i64|i64|i64|i64|i64|i64|i64|i64"
constexpr char kSliceTypes[] = EITHER " " INTEGER " " INTEGER " " INTEGER " " EITHER " -> " EITHER;
#undef EITHER
#undef INTEGER

enum SliceInput { kSliced, kStart, kSize, kStride, kFillValue };

// Null, or why these are no tensors for it.
template <class Tensors, class T>
const char* slice_fault(const SliceParams& params, const Tensors& has, const T& x, const T& y) {
  if (params.mode < dovetail::kStrictBounds || params.mode > dovetail::kReflect) return "there is no such mode";
  if (x.rank() != y.rank()) return "the ranks of x and the output differ";
  if (!has(kStart) && params.start.n != x.rank()) return "start has not one element for each axis";
  if (!has(kStride) && params.stride.n != x.rank()) return "stride has not one element for each axis";
  return nullptr;
}

inline const char* fits_slice(const SliceParams& params, const dovetail::Descs& inputs,
                              const dovetail::Descs& outputs) {
  const dovetail::Desc x = inputs[kSliced], y = outputs[0];
  const auto has = [&](int i) { return inputs.has(i); };
  if (const char* fault = slice_fault(params, has, x, y)) return fault;
  for (const int i : {kStart, kStride}) {
    if (inputs.has(i) && (inputs[i].rank() != 1 || inputs[i].max_extent(0) != x.rank())) {
      return "start or stride has not one element for each axis";
    }
  }
  if (inputs.has(kFillValue) && inputs[kFillValue].max_volume() != 1) return "the fill value is not one element";
  if (inputs.has(kStart) || inputs.has(kStride) || x.is_dynamic() || y.is_dynamic()) return nullptr;
  dovetail::Window window;
  window.mode = params.mode;
  for (int i = 0; i < x.rank(); ++i) {
    window.axes[window.rank++] = {x.extent(i), params.start[i], params.stride[i], y.extent(i), 1};
  }
  return dovetail::window_fault(window);
}

// The window; start and stride from the fields where there are no tensors, else 0 and 1.
inline dovetail::Window window_of(const SliceParams& params, const dovetail::Run& run) {
  const dovetail::Tensor x = run.input(kSliced), y = run.output(0);
  const auto has = [&](int i) { return run.has_input(i); };
  const char* fault = slice_fault(params, has, x, y);
  for (const int i : {kStart, kStride}) {
    if (run.has_input(i) && run.input(i).volume() != x.rank()) fault = "start or stride has not one element an axis";
  }
  if (run.has_input(kFillValue) && run.input(kFillValue).volume() != 1) fault = "the fill value is not one element";
  if (fault) dovetail::fail(DT_SHAPE, "%s", fault);
  const dovetail::RowMajor from(x.dims(), x.rank());
  dovetail::Window window;
  window.mode = params.mode;
  window.bytes = dovetail::size_of(x.type());
  for (int i = 0; i < x.rank(); ++i) {
    const int64_t start = run.has_input(kStart) ? 0 : params.start[i];
    const int64_t step = run.has_input(kStride) ? 1 : params.stride[i];
    window.axes[window.rank++] = {x.extent(i), start, step, y.extent(i), from.step[i]};
  }
  return window;
}

inline void check_window(const dovetail::Window& window) {
  if (const char* fault = dovetail::window_fault(window)) dovetail::fail(DT_SHAPE, "%s", fault);
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
