// SPDX-License-Identifier: Apache-2.0
// What the rows hand to the kernels of Elementwise.
#ifndef DOVETAIL_PLUGINS_ELEMENTWISE_CPU_KERNELS_HPP
#define DOVETAIL_PLUGINS_ELEMENTWISE_CPU_KERNELS_HPP

#include <stdint.h>

// TensorRT's ElementWiseOperation.
enum ElementwiseKind : int32_t {
  kSum = 0,
  kProd = 1,
  kMax = 2,
  kMin = 3,
  kSub = 4,
  kDiv = 5,
  kPow = 6,
  kFloorDiv = 7,
  kAnd = 8,
  kOr = 9,
  kXor = 10,
  kEqual = 11,
  kGreater = 12,
  kLess = 13
};

constexpr int kElementwiseRank = 9;  // eight, and the lanes of a blocked format

// y as rows of `columns` neighbours; dims are those of the rows, outermost first. Strides count elements and are 0
// where an extent of 1 is repeated; a_column and b_column are 0 or 1.
struct ElementwiseArgs {
  const void *a, *b;
  void* y;
  int32_t kind, type;  // of a and b
  int32_t rank;
  int64_t dims[kElementwiseRank], a_stride[kElementwiseRank], b_stride[kElementwiseRank];
  int64_t columns, a_column, b_column;
};

// Columns [first_column, last_column) of rows [first_row, last_row).
namespace avx512 {
void elementwise(const ElementwiseArgs& args, int64_t first_row, int64_t last_row, int64_t first_column,
                 int64_t last_column);
}
namespace avx2 {
void elementwise(const ElementwiseArgs& args, int64_t first_row, int64_t last_row, int64_t first_column,
                 int64_t last_column);
}
namespace scalar {
void elementwise(const ElementwiseArgs& args, int64_t first_row, int64_t last_row, int64_t first_column,
                 int64_t last_column);
}

#endif
