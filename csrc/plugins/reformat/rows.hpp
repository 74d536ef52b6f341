// SPDX-License-Identifier: Apache-2.0
// What the rows of Reformat have in common on all devices.
#ifndef DOVETAIL_PLUGINS_REFORMAT_ROWS_HPP
#define DOVETAIL_PLUGINS_REFORMAT_ROWS_HPP

#include "kernels/layout/format.hpp"
#include "reformat.hpp"
#include "side.hpp"

constexpr char kReformatTypes[] = "f32|f16|i8|i32|b8|u8|f8|bf16|i64 -> f32|f16|i8|i32|b8|u8|f8|bf16|i64";

// ROW(from, to) for each other format: a macro does not expand inside of itself, so the formats stand here once more.
// clang-format off
#define REFORMAT_ROWS_FROM(ROW, from)                                          \
  ROW(from, "linear") ROW(from, "chw2") ROW(from, "hwc8") ROW(from, "chw4")    \
  ROW(from, "chw16") ROW(from, "chw32") ROW(from, "dhwc8") ROW(from, "cdhw32") \
  ROW(from, "hwc") ROW(from, "hwc16")
// clang-format on

inline ReformatSide side_of(const dovetail::FormatView& view) {
  const int64_t image = view.padded * view.inner;
  if (view.kind == 1) return {view.lanes, view.inner * view.lanes, view.lanes, image};
  // Channels last: all of them are one block; at least 4 lanes if padded, and then the kernel may take them in fours.
  if (view.kind == 2) return {view.padded > 0 ? view.padded : 1, image, view.padded, image};
  return {1, view.inner, 1, image};
}

// A linear tensor has its channels where the other one has them. View: Tensor, or Desc of known extents.
template <class View>
void set_views(const View& x, const View& y, dovetail::FormatView* from, dovetail::FormatView* to) {
  *from = dovetail::view_of(x);
  *to = dovetail::view_of(y);
  if (from->kind == 0 && to->kind != 0) *from = dovetail::view_of(x, to->axis);
  if (to->kind == 0 && from->kind != 0) *to = dovetail::view_of(y, from->axis);
}

#endif
