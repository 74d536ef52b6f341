// SPDX-License-Identifier: Apache-2.0
// What the rows of Reformat have in common on all devices.
#ifndef DOVETAIL_PLUGINS_REFORMAT_ROWS_HPP
#define DOVETAIL_PLUGINS_REFORMAT_ROWS_HPP

#include "kernels/conversion/types.hpp"
#include "kernels/layout/format.hpp"
#include "reformat.hpp"
#include "side.hpp"

constexpr char kReformatTypes[] = "f32|f16|i8|i32|b8|u8|f8|bf16|i64 -> f32|f16|i8|i32|b8|u8|f8|bf16|i64";

// ROW(..., from, to) for each format: a macro does not expand inside of itself, so the formats stand here once more.
// clang-format off
#define REFORMAT_ROWS_FROM(ROW, ...)                                                                      \
  ROW(__VA_ARGS__, "linear") ROW(__VA_ARGS__, "chw2") ROW(__VA_ARGS__, "hwc8") ROW(__VA_ARGS__, "chw4")    \
  ROW(__VA_ARGS__, "chw16") ROW(__VA_ARGS__, "chw32") ROW(__VA_ARGS__, "dhwc8") ROW(__VA_ARGS__, "cdhw32") \
  ROW(__VA_ARGS__, "hwc") ROW(__VA_ARGS__, "hwc16")
// clang-format on

// Of rows that keep the type.
inline const char* fits_copy(const ReformatParams&, const dovetail::Descs& inputs, const dovetail::Descs& outputs) {
  const dovetail::Desc x = inputs[0], y = outputs[0];
  const bool differ = x.scale() > 0 && y.scale() > 0 && x.scale() != y.scale();
  return x.type() == dovetail::DataType::kINT8 && differ ? "does not change the scale of INT8" : nullptr;
}

// Of rows that change it.
inline const char* fits_conversion(const ReformatParams&, const dovetail::Descs& inputs,
                                   const dovetail::Descs& outputs) {
  const dovetail::Desc x = inputs[0], y = outputs[0];
  const bool is_scaled = (x.type() == dovetail::DataType::kINT8 && x.scale() > 0) ||
                         (y.type() == dovetail::DataType::kINT8 && y.scale() > 0);
  const bool has_real = dovetail::is_float_type(x.type()) || dovetail::is_float_type(y.type());
  return is_scaled && !has_real ? "converts INT8 with a scale to and from floats only" : nullptr;
}

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
