// SPDX-License-Identifier: Apache-2.0
// What the rows hand to the kernels of ParametricReLU: a is x, b the slopes.
#ifndef DOVETAIL_PLUGINS_PARAMETRIC_RELU_CPU_KERNELS_HPP
#define DOVETAIL_PLUGINS_PARAMETRIC_RELU_CPU_KERNELS_HPP

#include "dovetail/detail/isa.hpp"
#include "formula.hpp"
#include "kernels/pointwise/broadcast_args.hpp"

// Columns [first_column, last_column) of rows [first_row, last_row).
DOVETAIL_KERNELS(void parametric_relu(const PairArgs& args, int64_t first_row, int64_t last_row, int64_t first_column,
                                      int64_t last_column);)

#endif
