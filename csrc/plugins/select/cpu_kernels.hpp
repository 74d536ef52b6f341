// SPDX-License-Identifier: Apache-2.0
// What the rows hand to the kernels of Select.
#ifndef DOVETAIL_PLUGINS_SELECT_CPU_KERNELS_HPP
#define DOVETAIL_PLUGINS_SELECT_CPU_KERNELS_HPP

#include "dovetail/detail/isa.hpp"
#include "kernels/pointwise/broadcast_args.hpp"

struct SelectArgs : Broadcast<3> {
  const uint8_t* condition;
  const void *a, *b;
  void* y;
  int64_t element_bytes;  // of a, b and y
};

// Columns [first_column, last_column) of rows [first_row, last_row).
DOVETAIL_KERNELS(void select(const SelectArgs& args, int64_t first_row, int64_t last_row, int64_t first_column,
                             int64_t last_column);)

#endif
