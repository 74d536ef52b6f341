// SPDX-License-Identifier: Apache-2.0
// What the rows of Select have in common on all devices.
#ifndef DOVETAIL_PLUGINS_SELECT_ROWS_HPP
#define DOVETAIL_PLUGINS_SELECT_ROWS_HPP

#include "select.hpp"

#define SELECTED "f32|f16|bf16|i32|i64|i8|u8|b8"
constexpr char kSelectTypes[] = "b8|b8|b8|b8|b8|b8|b8|b8 " SELECTED " " SELECTED " -> " SELECTED;
#undef SELECTED

inline const char* fits_select(const SelectParams&, const dovetail::Descs& inputs, const dovetail::Descs&) {
  return dovetail::fits_broadcast(inputs, 3);
}

#endif
