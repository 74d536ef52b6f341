// SPDX-License-Identifier: Apache-2.0
// The types that the layers which convert a tensor's elements take, on every device, and what INT8 with a scale means.
#ifndef DOVETAIL_KERNELS_CONVERSION_TYPES_HPP
#define DOVETAIL_KERNELS_CONVERSION_TYPES_HPP

#include "dovetail/plugin.hpp"

DOVETAIL_OPEN_NAMESPACE

// Every type to every type: the alternatives are pairs.
#define DT_TYPES_FROM(x) x "|" x "|" x "|" x "|" x "|" x "|" x "|" x
#define DT_TYPES_TO "f32|f16|bf16|i8|u8|b8|i32|i64"
#define DT_TYPES_TO_4 DT_TYPES_TO "|" DT_TYPES_TO "|" DT_TYPES_TO "|" DT_TYPES_TO
constexpr char kConversionTypes[] =
    DT_TYPES_FROM("f32") "|" DT_TYPES_FROM("f16") "|" DT_TYPES_FROM("bf16") "|" DT_TYPES_FROM("i8") "|" DT_TYPES_FROM(
        "u8") "|" DT_TYPES_FROM("b8") "|" DT_TYPES_FROM("i32") "|" DT_TYPES_FROM("i64") " -> " DT_TYPES_TO_4
                                                                                        "|" DT_TYPES_TO_4;
#undef DT_TYPES_FROM
#undef DT_TYPES_TO
#undef DT_TYPES_TO_4

// Every type to every other one.
#define DT_TYPES_FROM(x) x "|" x "|" x "|" x "|" x "|" x "|" x
// clang-format off
constexpr char kChangedTypes[] =
    DT_TYPES_FROM("f32") "|" DT_TYPES_FROM("f16") "|" DT_TYPES_FROM("bf16") "|" DT_TYPES_FROM("i8") "|"
    DT_TYPES_FROM("u8") "|" DT_TYPES_FROM("b8") "|" DT_TYPES_FROM("i32") "|" DT_TYPES_FROM("i64") " -> "
    "f16|bf16|i8|u8|b8|i32|i64|f32|bf16|i8|u8|b8|i32|i64|f32|f16|i8|u8|b8|i32|i64|f32|f16|bf16|u8|b8|i32|i64|"
    "f32|f16|bf16|i8|b8|i32|i64|f32|f16|bf16|i8|u8|i32|i64|f32|f16|bf16|i8|u8|b8|i64|f32|f16|bf16|i8|u8|b8|i32";
// clang-format on
#undef DT_TYPES_FROM

inline bool is_float_type(DataType type) {
  return type == DataType::kFLOAT || type == DataType::kHALF || type == DataType::kBF16;
}

// The scale of the INT8 side of a conversion to or from floats; 0 where its numbers are taken as they are. Desc or
// Tensor.
template <class T>
float scale_of_conversion(const T& x, const T& y) {
  const T& stored = x.type() == DataType::kINT8 ? x : y;
  const T& real = x.type() == DataType::kINT8 ? y : x;
  return stored.type() == DataType::kINT8 && is_float_type(real.type()) && stored.scale() > 0 ? stored.scale() : 0.0f;
}

DOVETAIL_CLOSE_NAMESPACE

#endif
