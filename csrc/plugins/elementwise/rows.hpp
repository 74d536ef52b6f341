// SPDX-License-Identifier: Apache-2.0
// What the rows of ElementWise have in common on all devices.
#ifndef DOVETAIL_PLUGINS_ELEMENTWISE_ROWS_HPP
#define DOVETAIL_PLUGINS_ELEMENTWISE_ROWS_HPP

#include "elementwise.hpp"
#include "kernels/pointwise/broadcast.hpp"
#include "operations.hpp"

#define ARITHMETIC "f32|f16|bf16|i32|i64"
#define COMPARED "f32|f16|bf16|i32|i64|b8"
constexpr char kArithmeticTypes[] = ARITHMETIC " " ARITHMETIC " -> " ARITHMETIC;
constexpr char kComparisonTypes[] = COMPARED " " COMPARED " -> b8|b8|b8|b8|b8|b8";
#undef ARITHMETIC
#undef COMPARED

inline const char* fits_elementwise(const ElementwiseParams& params, const dovetail::Descs& inputs,
                                    const dovetail::Descs& outputs) {
  const bool is_logical = params.op == kAnd || params.op == kOr || params.op == kXor;
  const bool gives_bool = is_logical || params.op == kEqual || params.op == kGreater || params.op == kLess;
  const bool takes_bool = inputs[0].type() == dovetail::DataType::kBOOL;
  if (is_logical && !takes_bool) return "AND, OR and XOR take BOOL";
  if (takes_bool && !is_logical && params.op != kEqual) return "BOOL takes AND, OR, XOR and EQUAL";
  if (gives_bool != (outputs[0].type() == dovetail::DataType::kBOOL))
    return "only comparisons and logical ops give BOOL";
  const bool is_integer =
      inputs[0].type() == dovetail::DataType::kINT32 || inputs[0].type() == dovetail::DataType::kINT64;
  if (params.op >= kBitAnd && !is_integer) return "operations on bits take INT32 and INT64";
  return dovetail::fits_broadcast(inputs, 2);
}

#endif
