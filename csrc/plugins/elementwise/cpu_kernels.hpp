// SPDX-License-Identifier: Apache-2.0
// What the rows hand to the kernels of Elementwise.
#ifndef DOVETAIL_PLUGINS_ELEMENTWISE_CPU_KERNELS_HPP
#define DOVETAIL_PLUGINS_ELEMENTWISE_CPU_KERNELS_HPP

#include "dovetail/detail/isa.hpp"
#include "kernels/pointwise/broadcast_args.hpp"
#include "operations.hpp"

struct ElementwiseArgs : PairArgs {
  int32_t kind;
};

// Columns [first_column, last_column) of rows [first_row, last_row).
DOVETAIL_KERNELS(void elementwise(const ElementwiseArgs& args, int64_t first_row, int64_t last_row,
                                  int64_t first_column, int64_t last_column);)

#endif
