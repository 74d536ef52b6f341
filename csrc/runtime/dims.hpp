// SPDX-License-Identifier: Apache-2.0
// Programs that compute extents: flat postfix lists of integers,
//   0 v              push the constant v
//   1 input axis     push an extent of a network input
//   2 input element  push an element of a network input that is a shape
//   3 size           push an extent that a kernel has written during the execution
//   4 program        push the result of an earlier program of the plan: shared parts are stored and computed once
//   16 + op          pop b, then a; push a op b (DT_DIM_*)
#ifndef DOVETAIL_RUNTIME_DIMS_HPP
#define DOVETAIL_RUNTIME_DIMS_HPP

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "dovetail/plugin.h"

namespace dovetail {

using Dims = std::array<int64_t, DT_MAX_RANK>;
using DimsProgram = std::vector<int64_t>;

// The builder cuts programs to these, which costs nothing.
inline constexpr int kMaxProgramDepth = 64;
inline constexpr size_t kMaxProgramLength = 4096;
// The limit on the work of computing extents: words of all programs of a plan, about 20 ms for each change of shapes.
inline constexpr size_t kMaxProgramWords = size_t{1} << 22;

// The values that programs read.
struct Leaves {
  std::vector<Dims> extents;                   // of each network input
  std::vector<std::vector<int64_t>> contents;  // of each network input that is a shape; others have none
  std::vector<int64_t> sizes;                  // in the order in which they become known
};

// The number of values of each kind.
struct LeafCounts {
  std::vector<int> ranks, contents;  // of each network input
  int sizes = 0;
};

// The error in the program, or "". A program that passes can be evaluated after `n_earlier` others.
std::string verify_program(const DimsProgram& program, const LeafCounts& counts, size_t n_earlier = 0);

// The sizes that have to be known: one more than the last one that it, or an earlier program that it uses, looks up.
int needed_sizes(const DimsProgram& program, const std::vector<int>& earlier = {});

// Operations on float32 and float64 numbers, for models that compute extents with floats; each step is rounded. A
// number is encoded as its position among all numbers of its type: 0 is 0.0, 1 is the smallest number above it, and -x
// has minus the position of x, so that positions compare as the numbers do. Infinities and nan have no position: such a
// result is an overflow or a division by zero.
//   FLOAT_OF     a / b of integers, both rounded to float32 first
//   FLOAT_SUM, FLOAT_SUB, FLOAT_PROD, FLOAT_DIV  of float32 numbers
//   FLOAT_ROUND  the float32 number a as an integer; b says how, DT_ROUND_*
//   DOUBLE_*     the same of float64 numbers
//   DOUBLE_OF_FLOAT, FLOAT_OF_DOUBLE  the number a in the other type; b is ignored
#define DT_FLOAT32_OPERATIONS(X) \
  X(FLOAT_OF, 32) X(FLOAT_SUM, 33) X(FLOAT_SUB, 34) X(FLOAT_PROD, 35) X(FLOAT_DIV, 36) X(FLOAT_ROUND, 37)
#define DT_FLOAT64_OPERATIONS(X) \
  X(DOUBLE_OF, 38) X(DOUBLE_SUM, 39) X(DOUBLE_SUB, 40) X(DOUBLE_PROD, 41) X(DOUBLE_DIV, 42) X(DOUBLE_ROUND, 43)
#define DT_FLOAT_CONVERSIONS(X) X(DOUBLE_OF_FLOAT, 44) X(FLOAT_OF_DOUBLE, 45)
#define DT_FLOAT_OPERATIONS(X) DT_FLOAT32_OPERATIONS(X) DT_FLOAT64_OPERATIONS(X) DT_FLOAT_CONVERSIONS(X)
#define DT_ROUNDINGS(X) X(TO_ZERO, 0) X(DOWN, 1) X(UP, 2) X(TO_EVEN, 3)
#define DT_NUMBERED(name, value) DT_DIM_##name = value,
enum : int64_t { DT_FLOAT_OPERATIONS(DT_NUMBERED) };
#undef DT_NUMBERED
#define DT_NUMBERED(name, value) DT_ROUND_##name = value,
enum : int64_t { DT_ROUNDINGS(DT_NUMBERED) };
#undef DT_NUMBERED

enum class DimsTrouble { kNone, kOverflow, kDivisionByZero };

// The result of each program of a plan; if there was trouble, the value is meaningless.
struct ProgramResults {
  std::vector<int64_t> values;
  std::vector<DimsTrouble> troubles;
};

// Division floors (and ceils) for negatives too. *value is untouched where there is trouble, of an
// earlier program, too.
DimsTrouble evaluate(const DimsProgram& program, const Leaves& leaves, int64_t* value,
                     const ProgramResults& earlier = {});

// a op b, DT_DIM_*: one operation of a program.
DimsTrouble operate(int64_t op, int64_t a, int64_t b, int64_t* value);

// Bounds of the values that a program can have while each leaf is within low and high, both included. Always valid, not
// always tight; limited to 64 bits, beyond which evaluate fails. The program must have passed verify_program.
struct Interval {
  int64_t low, high;
};
Interval bounds_of(const DimsProgram& program, const Leaves& low, const Leaves& high,
                   const std::vector<Interval>& earlier = {});

// "(tokens[1] + 2)//4". The functions name an extent of an input, an element of one, and a size.
struct LeafNames {
  std::function<std::string(int input, int axis)> extent, element;
  std::function<std::string(int size)> size;
};
// Of the program at `index`, with those that it uses in their places; operands that are too long are "...".
std::string program_text(const std::vector<DimsProgram>& programs, size_t index, const LeafNames& names);

}  // namespace dovetail

#endif
