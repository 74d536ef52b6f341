// SPDX-License-Identifier: Apache-2.0
// The algorithm of Reduce, compiled once per instruction set.
#ifndef DOVETAIL_PLUGINS_REDUCE_CPU_GENERIC_HPP
#define DOVETAIL_PLUGINS_REDUCE_CPU_GENERIC_HPP

#include "cpu_kernels.hpp"
#include "kernels/reduce/fold.hpp"
#include "kernels/simd/convert.hpp"

namespace DT_ISA {
namespace {

constexpr int64_t kBlockRows = 64;  // rows after which partial sums are added to the totals
constexpr int64_t kNarrow = 16;     // columns whose partial results registers hold

// Totals of blocks: sums and products in float64.
template <class Op>
struct TotalOf {
  typedef double Type;
};
template <>
struct TotalOf<MaxOp> {
  typedef float Type;
};
template <>
struct TotalOf<MinOp> {
  typedef float Type;
};
double join_totals(SumOp, double a, float v) { return a + static_cast<double>(v); }
double join_totals(ProdOp, double a, float v) { return a * static_cast<double>(v); }
float join_totals(MaxOp, float a, float v) { return max_f(a, v); }
float join_totals(MinOp, float a, float v) { return min_f(a, v); }

// Floats, where `divisor` is the count of a mean, else 1.
template <class Op>
struct FloatReduction {
  typedef typename TotalOf<Op>::Type Total;
  const ReduceArgs& args;
  double divisor;

  float finish(Total total) const { return static_cast<float>(static_cast<double>(total) / divisor); }

  float row(const Strips& strips, int64_t base) const {
    Total total = static_cast<Total>(Op::kIdentity);
    float chunk[1024];
    for (int64_t run = 0; run < strips.runs; ++run) {
      int64_t other;
      const int64_t at = base + offset_of(args.over.reduced, strips.n_reduced, run, &other);
      for (int64_t i = 0, n; i < strips.inner.n; i += n) {
        n = strips.inner.n - i < 1024 ? strips.inner.n - i : 1024;
        const float* from = static_cast<const float*>(args.x) + at + i;
        if (args.type != kF32) {
          load_floats(args.x, args.type, at + i, chunk, n);
          from = chunk;
        }
        total = join_totals(Op(), total, fold_block<Op>(from, n));
      }
    }
    return finish(total);
  }

  // A block of 16 channels along one axis: partial results stay in registers, in chains of kBlockRows rows each, since one
  // is bound by the latency of an addition.
  void block(const Strips& strips, int64_t base, int64_t to) const {
    constexpr int v = kNarrow / kLanes, chains = v == 1 ? 4 : v == 2 ? 2 : 1;
    const int64_t step = args.over.reduced[0].step;
    const float* from = static_cast<const float*>(args.x) + base;
    Total totals[kNarrow];
    float lanes[kNarrow];
    for (Total& total : totals) total = static_cast<Total>(Op::kIdentity);
    for (int64_t left = strips.runs, n; left > 0; left -= n) {
      n = left < kBlockRows * chains ? left : kBlockRows * chains;
      VecF part[chains][v];
      for (int c = 0; c < chains; ++c) {
        for (int i = 0; i < v; ++i) part[c][i] = splat(Op::kIdentity);
      }
      int64_t run = 0;
      for (; run + chains <= n; run += chains) {
#pragma GCC unroll 4
        for (int c = 0; c < chains; ++c, from += step) {
#pragma GCC unroll 4
          for (int i = 0; i < v; ++i) part[c][i] = Op::vector(part[c][i], load(from + i * kLanes));
        }
      }
      for (; run < n; ++run, from += step) {
        for (int i = 0; i < v; ++i) part[0][i] = Op::vector(part[0][i], load(from + i * kLanes));
      }
      for (int c = 0; c < chains; ++c) {
        for (int i = 0; i < v; ++i) store(lanes + i * kLanes, part[c][i]);
        for (int i = 0; i < kNarrow; ++i) totals[i] = join_totals(Op(), totals[i], lanes[i]);
      }
    }
    for (int i = 0; i < kNarrow; ++i) lanes[i] = finish(totals[i]);
    store_floats(lanes, args.y, args.type, to, kNarrow);
  }

  void columns(const Strips& strips, int64_t base, int64_t n, int64_t to) const {
    if (n == kNarrow && args.type == kF32 && strips.n_reduced == 1) return block(strips, base, to);
    Total totals[kReduceColumns];
    float part[kReduceColumns], chunk[kReduceColumns], *result = chunk;
    for (int64_t i = 0; i < n; ++i) totals[i] = static_cast<Total>(Op::kIdentity);
    for (int64_t first = 0; first < strips.runs; first += kBlockRows) {
      const int64_t last = first + kBlockRows < strips.runs ? first + kBlockRows : strips.runs;
      for (int64_t i = 0; i < n; ++i) part[i] = Op::kIdentity;
      for (int64_t run = first; run < last; ++run) {
        int64_t other;
        const int64_t at = base + offset_of(args.over.reduced, strips.n_reduced, run, &other);
        const float* from = static_cast<const float*>(args.x) + at;
        if (args.type != kF32) {
          load_floats(args.x, args.type, at, chunk, n);
          from = chunk;
        }
#pragma GCC ivdep
        for (int64_t i = 0; i < n; ++i) part[i] = Op::scalar(part[i], from[i]);
      }
      for (int64_t i = 0; i < n; ++i) totals[i] = join_totals(Op(), totals[i], part[i]);
    }
    for (int64_t i = 0; i < n; ++i) result[i] = finish(totals[i]);
    store_floats(result, args.y, args.type, to, n);
  }

  void store_one(float v, int64_t to) const { store_floats(&v, args.y, args.type, to, 1); }
};

// Sums and products wrap around: unsigned.
struct AddInts {
  static int64_t f(int64_t a, int64_t v) {
    return static_cast<int64_t>(static_cast<uint64_t>(a) + static_cast<uint64_t>(v));
  }
};
struct MultiplyInts {
  static int64_t f(int64_t a, int64_t v) {
    return static_cast<int64_t>(static_cast<uint64_t>(a) * static_cast<uint64_t>(v));
  }
};
struct MaxInts {
  static int64_t f(int64_t a, int64_t v) { return v > a ? v : a; }
};
struct MinInts {
  static int64_t f(int64_t a, int64_t v) { return v < a ? v : a; }
};

template <class T, class Op>
struct IntReduction {
  const ReduceArgs& args;
  int64_t divisor;
  int64_t identity;

  const T* at(int64_t i) const { return static_cast<const T*>(args.x) + i; }
  void store_one(int64_t v, int64_t to) const {
    static_cast<T*>(args.y)[to] = static_cast<T>(divisor == 1 ? v : v / divisor);
  }

  int64_t row(const Strips& strips, int64_t base) const {
    int64_t total = identity;
    for (int64_t run = 0; run < strips.runs; ++run) {
      int64_t other;
      const T* from = at(base + offset_of(args.over.reduced, strips.n_reduced, run, &other));
      for (int64_t i = 0; i < strips.inner.n; ++i) total = Op::f(total, from[i]);
    }
    return total;
  }

  void columns(const Strips& strips, int64_t base, int64_t n, int64_t to) const {
    int64_t totals[kReduceColumns];
    for (int64_t i = 0; i < n; ++i) totals[i] = identity;
    for (int64_t run = 0; run < strips.runs; ++run) {
      int64_t other;
      const T* from = at(base + offset_of(args.over.reduced, strips.n_reduced, run, &other));
#pragma GCC ivdep
      for (int64_t i = 0; i < n; ++i) totals[i] = Op::f(totals[i], from[i]);
    }
    for (int64_t i = 0; i < n; ++i) store_one(totals[i], to + i);
  }
};

template <class Kind>
void each_item(const Kind& kind, const Reduction& over, int64_t first, int64_t last) {
  const Strips strips = strips_of(over);
  const int64_t pieces = (strips.inner.n + kReduceColumns - 1) / kReduceColumns;
  for (int64_t item = first; item < last; ++item) {
    int64_t other;
    if (over.inner_is_reduced) {
      kind.store_one(kind.row(strips, offset_of(over.kept, strips.n_kept, item, &other)), item);
      continue;
    }
    const int64_t row = item / pieces, column = item % pieces * kReduceColumns;
    const int64_t left = strips.inner.n - column;
    kind.columns(strips, offset_of(over.kept, strips.n_kept, row, &other) + column,
                 left < kReduceColumns ? left : kReduceColumns, row * strips.inner.n + column);
  }
}

template <class Op>
void reduce_floats(const ReduceArgs& args, int64_t first, int64_t last) {
  const double divisor = args.kind == kReduceAvg ? static_cast<double>(args.over.count) : 1.0;
  each_item(FloatReduction<Op>{args, divisor}, args.over, first, last);
}

template <class T>
void reduce_ints(const ReduceArgs& args, int64_t first, int64_t last) {
  const int64_t divisor = args.kind == kReduceAvg && args.over.count > 0 ? args.over.count : 1;
  const int64_t most = sizeof(T) == 4 ? INT32_MAX : INT64_MAX;
  switch (args.kind) {
    case kReduceProd:
      return each_item(IntReduction<T, MultiplyInts>{args, 1, 1}, args.over, first, last);
    case kReduceMax:
      return each_item(IntReduction<T, MaxInts>{args, 1, -most - 1}, args.over, first, last);
    case kReduceMin:
      return each_item(IntReduction<T, MinInts>{args, 1, most}, args.over, first, last);
    default:
      return each_item(IntReduction<T, AddInts>{args, divisor, 0}, args.over, first, last);
  }
}

}  // namespace

void reduce(const ReduceArgs& args, int64_t first, int64_t last) {
  if (args.type == kI32) return reduce_ints<int32_t>(args, first, last);
  if (args.type == kI64) return reduce_ints<int64_t>(args, first, last);
  switch (args.kind) {
    case kReduceProd:
      return reduce_floats<ProdOp>(args, first, last);
    case kReduceMax:
      return reduce_floats<MaxOp>(args, first, last);
    case kReduceMin:
      return reduce_floats<MinOp>(args, first, last);
    default:
      return reduce_floats<SumOp>(args, first, last);
  }
}

}  // namespace DT_ISA

#endif
