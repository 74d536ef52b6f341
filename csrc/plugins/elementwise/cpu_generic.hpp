// SPDX-License-Identifier: Apache-2.0
// The algorithm of Elementwise, compiled once per instruction set.
#ifndef DOVETAIL_PLUGINS_ELEMENTWISE_CPU_GENERIC_HPP
#define DOVETAIL_PLUGINS_ELEMENTWISE_CPU_GENERIC_HPP

#include "cpu_kernels.hpp"
#include "kernels/pointwise/broadcast_args.hpp"
#include "operations.hpp"

namespace DT_ISA {
namespace {

template <class Op>
void arithmetic(const ElementwiseArgs& args, const BroadcastRows<2>& rows) {
  if (args.type == kF32) return pair_rows<Op, float, float>(args, rows);
  if (args.type == kI32) return pair_rows<Op, int32_t, int32_t>(args, rows);
  if (args.type == kI64) return pair_rows<Op, int64_t, int64_t>(args, rows);
  pair_rows_of_halves<Op, float>(args, rows);
}

template <class Op>
void on_bits(const ElementwiseArgs& args, const BroadcastRows<2>& rows) {
  if (args.type == kI32) return pair_rows<Op, int32_t, int32_t>(args, rows);
  pair_rows<Op, int64_t, int64_t>(args, rows);
}

template <class Op>
void comparison(const ElementwiseArgs& args, const BroadcastRows<2>& rows) {
  if (args.type == kF32) return pair_rows<Op, float, uint8_t>(args, rows);
  if (args.type == kI32) return pair_rows<Op, int32_t, uint8_t>(args, rows);
  if (args.type == kI64) return pair_rows<Op, int64_t, uint8_t>(args, rows);
  if (args.type == kB8) return pair_rows<Op, uint8_t, uint8_t>(args, rows);
  pair_rows_of_halves<Op, uint8_t>(args, rows);
}

void compute(const ElementwiseArgs& args, const BroadcastRows<2>& rows) {
  switch (args.kind) {
#define OPERATION_CASE(Name) \
  case k##Name:              \
    return arithmetic<Name>(args, rows);
    DOVETAIL_ARITHMETIC(OPERATION_CASE)
#undef OPERATION_CASE
#define OPERATION_CASE(Name) \
  case k##Name:              \
    return on_bits<Name>(args, rows);
    DOVETAIL_ON_BITS(OPERATION_CASE)
#undef OPERATION_CASE
#define OPERATION_CASE(Name) \
  case k##Name:              \
    return comparison<Name>(args, rows);
    DOVETAIL_COMPARISONS(OPERATION_CASE)
#undef OPERATION_CASE
#define OPERATION_CASE(Name) \
  case k##Name:              \
    return pair_rows<Name, uint8_t, uint8_t>(args, rows);
    DOVETAIL_LOGIC(OPERATION_CASE)
#undef OPERATION_CASE
  }
}

}  // namespace

void elementwise(const ElementwiseArgs& args, int64_t first_row, int64_t last_row, int64_t first_column,
                 int64_t last_column) {
  each_broadcast_rows(args, first_row, last_row, first_column, last_column,
                      [&](const BroadcastRows<2>& rows) { compute(args, rows); });
}

}  // namespace DT_ISA

#endif
