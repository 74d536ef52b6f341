// SPDX-License-Identifier: Apache-2.0
// What the rows of Padding have in common on all devices.
#ifndef DOVETAIL_PLUGINS_PADDING_ROWS_HPP
#define DOVETAIL_PLUGINS_PADDING_ROWS_HPP

#include "kernels/copy/windowed_copy.hpp"
#include "padding.hpp"

constexpr char kPaddingTypes[] = DOVETAIL_MOVED_TYPES " -> " DOVETAIL_MOVED_TYPES;

inline dovetail::Window padded_window(const PaddingParams& params, const dovetail::Run& run) {
  const dovetail::Tensor x = run.input(0), y = run.output(0);
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
