// SPDX-License-Identifier: Apache-2.0
// What the rows of layers that copy x into other dims have in common; a second input, the axes, is not read.
#ifndef DOVETAIL_RESHAPE_ROWS_HPP
#define DOVETAIL_RESHAPE_ROWS_HPP

#include "dovetail/strided_copy.hpp"

DOVETAIL_OPEN_NAMESPACE

// The second input may be of either integer type.
#define DOVETAIL_MOVED_TWICE DOVETAIL_MOVED_TYPES "|" DOVETAIL_MOVED_TYPES
#define DOVETAIL_EITHER_INTEGER "i32|i32|i32|i32|i32|i32|i32|i32|i64|i64|i64|i64|i64|i64|i64|i64"
constexpr char kReshapeTypes[] = DOVETAIL_MOVED_TWICE " " DOVETAIL_EITHER_INTEGER " -> " DOVETAIL_MOVED_TWICE;

template <class Params>
const char* fits_reshape(const Params&, const Descs& inputs, const Descs& outputs) {
  if (inputs[0].is_dynamic() || outputs[0].is_dynamic()) return nullptr;  // looked at when the extents are known
  return inputs[0].max_volume() == outputs[0].max_volume() ? nullptr
                                                           : "x and the output have different numbers of elements";
}

inline StridedCopy reshaping_copy(const Run& run) {
  const Tensor x = run.input(0), y = run.output(0);
  if (x.volume() != y.volume()) fail(DT_SHAPE, "x and the output have different numbers of elements");
  return whole_copy(x);
}

DOVETAIL_CLOSE_NAMESPACE

#endif
