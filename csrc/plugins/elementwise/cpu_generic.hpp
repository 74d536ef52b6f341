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
    case kSum:
      return arithmetic<Sum>(args, rows);
    case kProd:
      return arithmetic<Prod>(args, rows);
    case kMax:
      return arithmetic<Max>(args, rows);
    case kMin:
      return arithmetic<Min>(args, rows);
    case kSub:
      return arithmetic<Sub>(args, rows);
    case kDiv:
      return arithmetic<Div>(args, rows);
    case kPow:
      return arithmetic<Pow>(args, rows);
    case kFloorDiv:
      return arithmetic<FloorDiv>(args, rows);
    case kAnd:
      return pair_rows<And, uint8_t, uint8_t>(args, rows);
    case kOr:
      return pair_rows<Or, uint8_t, uint8_t>(args, rows);
    case kXor:
      return pair_rows<Xor, uint8_t, uint8_t>(args, rows);
    case kMod:
      return arithmetic<Mod>(args, rows);
    case kFmod:
      return arithmetic<Fmod>(args, rows);
    case kBitAnd:
      return on_bits<BitAnd>(args, rows);
    case kBitOr:
      return on_bits<BitOr>(args, rows);
    case kBitXor:
      return on_bits<BitXor>(args, rows);
    case kShiftLeft:
      return on_bits<ShiftLeft>(args, rows);
    case kShiftRight:
      return on_bits<ShiftRight>(args, rows);
    case kEqual:
      return comparison<Equal>(args, rows);
    case kGreater:
      return comparison<Greater>(args, rows);
    default:
      return comparison<Less>(args, rows);
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
