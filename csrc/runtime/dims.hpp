// SPDX-License-Identifier: Apache-2.0
// Programs that compute extents from the extents of network inputs: flat postfix lists of integers,
//   0 v            push the constant v
//   1 input axis   push an extent of a network input
//   16 + op        pop b, then a; push a op b (DT_DIM_*)
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

inline constexpr int kMaxProgramDepth = 64;
inline constexpr size_t kMaxProgramLength = 4096;

// What is wrong with the program, or "". `ranks`: of the network inputs. A program that passes can be evaluated.
std::string verify_program(const DimsProgram& program, const std::vector<int>& ranks);

enum class DimsTrouble { kNone, kOverflow, kDivisionByZero };

// Division floors (and ceils) for negatives too. *value is untouched where there is trouble.
DimsTrouble evaluate(const DimsProgram& program, const Dims* inputs, int64_t* value);

// The values that a program can have while each extent of the inputs is within low and high, both included. Sound, not
// always tight; cut to 64 bits, beyond which evaluate fails. The program must have passed verify_program.
struct Interval {
  int64_t low, high;
};
Interval bounds_of(const DimsProgram& program, const Dims* low, const Dims* high);

// "(tokens[1] + 2)//4"; `leaf` names an extent of an input.
std::string program_text(const DimsProgram& program, const std::function<std::string(int input, int axis)>& leaf);

}  // namespace dovetail

#endif
