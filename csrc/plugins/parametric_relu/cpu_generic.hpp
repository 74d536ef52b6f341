// SPDX-License-Identifier: Apache-2.0
// The algorithm of ParametricReLU, compiled once per instruction set.
#ifndef DOVETAIL_PLUGINS_PARAMETRIC_RELU_CPU_GENERIC_HPP
#define DOVETAIL_PLUGINS_PARAMETRIC_RELU_CPU_GENERIC_HPP

#include "cpu_kernels.hpp"

namespace DT_ISA {

void parametric_relu(const PairArgs& args, int64_t first_row, int64_t last_row, int64_t first_column,
                     int64_t last_column) {
  each_broadcast_rows(args, first_row, last_row, first_column, last_column, [&](const BroadcastRows<2>& rows) {
    if (args.type == kF32) return pair_rows<SlopeOfNegatives, float, float>(args, rows);
    pair_rows_of_halves<SlopeOfNegatives, float>(args, rows);
  });
}

}  // namespace DT_ISA

#endif
