// SPDX-License-Identifier: Apache-2.0
// What the rows of Fill have in common on all devices.
#ifndef DOVETAIL_PLUGINS_FILL_ROWS_HPP
#define DOVETAIL_PLUGINS_FILL_ROWS_HPP

#include "fill.hpp"

#define NUMBERS "f32|f16|bf16|i32|i64"
#define PER_NUMBER(x) x "|" x "|" x "|" x "|" x
constexpr char kFillTypes32[] = PER_NUMBER("i32") " " NUMBERS " " NUMBERS " -> " NUMBERS;
constexpr char kFillTypes64[] = PER_NUMBER("i64") " " NUMBERS " " NUMBERS " -> " NUMBERS;
#undef NUMBERS
#undef PER_NUMBER

inline bool is_integer(dovetail::DataType type) {
  return type == dovetail::DataType::kINT32 || type == dovetail::DataType::kINT64;
}

// A field for integers: the fraction is cut off, as far as 64 bits reach.
inline int64_t whole_of(double v) {
  if (!(v == v)) return 0;
  return v <= -0x1p63 ? INT64_MIN : v >= 0x1p63 ? INT64_MAX : static_cast<int64_t>(v);
}

inline const char* fits_fill(const FillParams& params, const dovetail::Descs& inputs, const dovetail::Descs& outputs) {
  if (params.operation != kLinspace && is_integer(outputs[0].type())) return "random numbers are floats";
  for (int i = 1; i < 3; ++i) {
    if (inputs.has(i) && inputs[i].type() != outputs[0].type()) return "alphas or betas are of another type than y";
  }
  return nullptr;
}

#endif
