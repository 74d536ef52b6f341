// SPDX-License-Identifier: Apache-2.0
// What the rows of OneHot have in common on all devices.
#ifndef DOVETAIL_PLUGINS_ONE_HOT_ROWS_HPP
#define DOVETAIL_PLUGINS_ONE_HOT_ROWS_HPP

#include "one_hot.hpp"

#define VALUES "f32|f16|bf16|i32|i64|i8|u8|b8"
#define PER_VALUE(x) x "|" x "|" x "|" x "|" x "|" x "|" x "|" x
#define ONE_HOT_TYPES(indices, depth) PER_VALUE(indices) " " VALUES " " PER_VALUE(depth) " -> " VALUES
// Of indices and depth.
constexpr char kTypes32x32[] = ONE_HOT_TYPES("i32", "i32");
constexpr char kTypes32x64[] = ONE_HOT_TYPES("i32", "i64");
constexpr char kTypes64x32[] = ONE_HOT_TYPES("i64", "i32");
constexpr char kTypes64x64[] = ONE_HOT_TYPES("i64", "i64");
#undef VALUES
#undef PER_VALUE
#undef ONE_HOT_TYPES

// y as [outer, depth, inner].
struct OneHotExtents {
  int64_t outer, depth, inner;
};

inline OneHotExtents one_hot_extents(const OneHotParams& params, const dovetail::Tensor& y) {
  const int axis = params.place(y.rank());
  return {y.volume(0, axis), y.extent(axis), y.volume(axis + 1, y.rank())};
}

#endif
