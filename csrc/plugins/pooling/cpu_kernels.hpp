// SPDX-License-Identifier: Apache-2.0
// What the rows hand to the kernels of Pooling.
#ifndef DOVETAIL_PLUGINS_POOLING_CPU_KERNELS_HPP
#define DOVETAIL_PLUGINS_POOLING_CPU_KERNELS_HPP

#include "dovetail/detail/isa.hpp"
#include "windows.hpp"

// A thread's scratch for rows of `in` and `out` floats, each part in whole lines of the cache: rows of the input as
// loaded, maxima and sums, and maxima and sums of y; behind them a row of each in float64.
namespace DT_ISA {
constexpr int64_t pool_lines(int64_t floats) { return (floats + 15) / 16 * 16; }
constexpr int64_t pool_floats(int64_t in, int64_t out) { return pool_lines(3 * in + 2 * out); }
constexpr int64_t pool_scratch(int64_t in, int64_t out) { return pool_floats(in, out) + pool_lines(2 * in + 2 * out); }
}  // namespace DT_ISA

// Output rows [first, last), counted over planes, depth and height. `lanes` is 1 or 16. The second one finds the largest
// of integers of 8 bits.
DOVETAIL_KERNELS(void pooling(const PoolingArgs& args, int lanes, int64_t first, int64_t last, float* scratch);
                 void pooling_bytes(const PoolingArgs& args, int lanes, int64_t first, int64_t last, float* scratch);)

#endif
