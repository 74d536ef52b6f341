// SPDX-License-Identifier: Apache-2.0
// What the rows of Shape have in common on all devices.
#ifndef DOVETAIL_PLUGINS_SHAPE_ROWS_HPP
#define DOVETAIL_PLUGINS_SHAPE_ROWS_HPP

#include "kernels/layout/format.hpp"
#include "shape.hpp"

#define MEASURED "f32|f16|bf16|i8|u8|b8|i32|i64|f8"
constexpr char kShapeTypes[] = MEASURED " -> i32|i32|i32|i32|i32|i32|i32|i32|i32";
constexpr char kWideShapeTypes[] = MEASURED " -> i64|i64|i64|i64|i64|i64|i64|i64|i64";
#undef MEASURED

#endif
