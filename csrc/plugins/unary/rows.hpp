// SPDX-License-Identifier: Apache-2.0
// What the rows of Unary have in common on all devices.
#ifndef DOVETAIL_PLUGINS_UNARY_ROWS_HPP
#define DOVETAIL_PLUGINS_UNARY_ROWS_HPP

#include "formulas.hpp"
#include "unary.hpp"

constexpr char kUnaryFloats[] = "f32|f16|bf16 -> f32|f16|bf16";
constexpr char kUnaryIntegers[] = "i32|i64|i8|b8 -> i32|i64|i8|b8";
constexpr char kUnaryQuestions[] = "f32|f16|bf16 -> b8|b8|b8";

inline const char* fits_unary(const UnaryParams& params, const dovetail::Descs& inputs,
                              const dovetail::Descs& outputs) {
  using dovetail::DataType;
  const dovetail::Desc x = inputs[0], y = outputs[0];
  if ((params.op == kNot) != (x.type() == DataType::kBOOL)) return "NOT takes BOOL, and nothing else does";
  const bool is_question = params.op == kIsinf || params.op == kIsnan;
  if (is_question && y.type() != DataType::kBOOL) return "ISINF and ISNAN give BOOL";
  if (!is_question && y.type() != x.type()) return "y has another type than x";
  const bool is_integer = x.type() == DataType::kINT32 || x.type() == DataType::kINT64 || x.type() == DataType::kINT8;
  if (is_integer && params.op != kAbs && params.op != kNeg && params.op != kSign) {
    return "integers take ABS, NEG and SIGN only";
  }
  return nullptr;
}

#endif
