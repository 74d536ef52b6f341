// SPDX-License-Identifier: Apache-2.0
// Rows of layers that copy x to other dims; the second input, the axes, is not read.
#ifndef DOVETAIL_KERNELS_COPY_RESHAPE_ROWS_HPP
#define DOVETAIL_KERNELS_COPY_RESHAPE_ROWS_HPP

#include "kernels/copy/strided_copy.hpp"

DOVETAIL_OPEN_NAMESPACE

// The second input may be of either integer type.
#define DOVETAIL_MOVED_TWICE DOVETAIL_MOVED_TYPES "|" DOVETAIL_MOVED_TYPES
#define DOVETAIL_EITHER_INTEGER "i32|i32|i32|i32|i32|i32|i32|i32|i64|i64|i64|i64|i64|i64|i64|i64"
constexpr char kReshapeTypes[] = DOVETAIL_MOVED_TWICE " " DOVETAIL_EITHER_INTEGER " -> " DOVETAIL_MOVED_TWICE;

inline StridedCopy reshaping_copy(const Run& run) { return whole_copy(run.input(0)); }

DOVETAIL_CLOSE_NAMESPACE

#endif
