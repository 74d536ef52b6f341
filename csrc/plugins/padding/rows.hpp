// SPDX-License-Identifier: Apache-2.0
// What the rows of Padding have in common on all devices.
#ifndef DOVETAIL_PLUGINS_PADDING_ROWS_HPP
#define DOVETAIL_PLUGINS_PADDING_ROWS_HPP

#include "dovetail/windowed_copy.hpp"
#include "padding.hpp"

constexpr char kPaddingTypes[] = DOVETAIL_MOVED_TYPES " -> " DOVETAIL_MOVED_TYPES;

// Null, or why y is not x with these paddings. Extents of -1 are not looked at.
template <class T>
const char* padding_fault(const PaddingParams& params, const T& x, const T& y) {
  const int64_t n = params.pre_padding.n;
  if (x.rank() != y.rank()) return "the ranks of x and the output differ";
  if (n != params.post_padding.n || n > x.rank()) return "the paddings are not one for each of the innermost axes";
  for (int i = 0; i < x.rank(); ++i) {
    const int64_t before = x.dims()[i], after = y.dims()[i], k = i - (x.rank() - n);
    if (before < 0 || after < 0) continue;
    const int64_t added = k < 0 ? 0 : after - before - params.pre_padding[static_cast<int>(k)];
    const int64_t wanted = k < 0 ? after - before : params.post_padding[static_cast<int>(k)];
    if (added != wanted) return "the output's extents are not those of x and the paddings";
  }
  return nullptr;
}

inline const char* fits_padding(const PaddingParams& params, const dovetail::Descs& inputs,
                                const dovetail::Descs& outputs) {
  return padding_fault(params, inputs[0], outputs[0]);
}

inline dovetail::Window padded_window(const PaddingParams& params, const dovetail::Run& run) {
  const dovetail::Tensor x = run.input(0), y = run.output(0);
  if (const char* fault = padding_fault(params, x, y)) dovetail::fail(DT_SHAPE, "%s", fault);
  const dovetail::RowMajor from(x.dims(), x.rank());
  dovetail::Window window;
  window.mode = dovetail::kFill;
  window.bytes = dovetail::size_of(x.type());
  for (int i = 0; i < x.rank(); ++i) {
    const int64_t k = i - (x.rank() - params.pre_padding.n);
    const int64_t start = k < 0 ? 0 : -params.pre_padding[static_cast<int>(k)];
    window.axes[window.rank++] = {x.extent(i), start, 1, y.extent(i), from.step[i]};
  }
  return window;
}

#endif
