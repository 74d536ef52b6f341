// SPDX-License-Identifier: Apache-2.0
// What the rows of Shape have in common on all devices.
#ifndef DOVETAIL_PLUGINS_SHAPE_ROWS_HPP
#define DOVETAIL_PLUGINS_SHAPE_ROWS_HPP

#include "dovetail/format.hpp"
#include "shape.hpp"

#define MEASURED "f32|f16|bf16|i8|u8|b8|i32|i64|f8"
constexpr char kShapeTypes[] = MEASURED " -> i32|i32|i32|i32|i32|i32|i32|i32|i32";
constexpr char kWideShapeTypes[] = MEASURED " -> i64|i64|i64|i64|i64|i64|i64|i64|i64";
#undef MEASURED

template <class X, class Y>
const char* shape_fault(const X& x, const Y& y) {
  return y.rank() == 1 && y.extent(0) == x.rank() ? nullptr : "the output has not one element for each axis of x";
}

inline const char* fits_shape(const ShapeParams&, const dovetail::Descs& inputs, const dovetail::Descs& outputs) {
  return shape_fault(inputs[0], outputs[0]);
}

#endif
