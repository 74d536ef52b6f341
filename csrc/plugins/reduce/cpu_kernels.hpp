// SPDX-License-Identifier: Apache-2.0
// What the rows hand to the kernels of Reduce.
#ifndef DOVETAIL_PLUGINS_REDUCE_CPU_KERNELS_HPP
#define DOVETAIL_PLUGINS_REDUCE_CPU_KERNELS_HPP

#include "dovetail/detail/isa.hpp"
#include "kernels/reduce/reduction.hpp"
#include "kernels/spec/enumerations.hpp"

// TensorRT's ReduceOperation.
enum ReduceKind : int32_t { DOVETAIL_REDUCE_OPERATION(DOVETAIL_ENUMERATOR, kReduce) };

constexpr int64_t kReduceColumns = 256;  // of a strip that is computed at once

struct ReduceArgs {
  const void* x;
  void* y;
  int32_t type;  // of both: a float, INT32 or INT64
  int32_t kind;
  Reduction over;
};

// Results of items [first, last); see Strips. Where columns are kept, an item is kReduceColumns of them.
DOVETAIL_KERNELS(void reduce(const ReduceArgs& args, int64_t first, int64_t last);)

#endif
