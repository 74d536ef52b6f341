// SPDX-License-Identifier: Apache-2.0
#include "runtime/dims.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <initializer_list>
#include <limits>
#include <optional>

namespace dovetail {
namespace {

constexpr int64_t kConstant = 0, kInputDim = 1, kElement = 2, kSize = 3, kProgram = 4, kOperation = 16;
constexpr size_t kLongestOperand = 120;  // characters

DimsTrouble divide(int64_t a, int64_t b, bool up, int64_t* value) {
  if (b == 0) return DimsTrouble::kDivisionByZero;
  if (b == -1) return __builtin_sub_overflow(int64_t{0}, a, value) ? DimsTrouble::kOverflow : DimsTrouble::kNone;
  const int64_t quotient = a / b, rest = a % b;
  // C rounds towards zero: off by one where the exact quotient is on the other side.
  const bool is_negative = (rest < 0) != (b < 0);
  *value = quotient + (rest == 0 ? 0 : up ? (is_negative ? 0 : 1) : (is_negative ? -1 : 0));
  return DimsTrouble::kNone;
}

bool is_float_operation(int64_t op) { return op >= DT_DIM_FLOAT_OF && op <= DT_DIM_FLOAT_OF_DOUBLE; }

bool is_conversion(int64_t op) { return op == DT_DIM_DOUBLE_OF_FLOAT || op == DT_DIM_FLOAT_OF_DOUBLE; }

// True if the operands are float64 numbers; else they are float32 numbers or integers.
bool takes_doubles(int64_t op) { return op >= DT_DIM_DOUBLE_OF && op != DT_DIM_DOUBLE_OF_FLOAT; }

bool gives_doubles(int64_t op) { return op >= DT_DIM_DOUBLE_OF && op != DT_DIM_FLOAT_OF_DOUBLE; }

// DT_DIM_FLOAT_*, whatever the type.
int64_t as_of_floats(int64_t op) {
  return op >= DT_DIM_DOUBLE_OF && !is_conversion(op) ? op - DT_DIM_DOUBLE_OF + DT_DIM_FLOAT_OF : op;
}

bool is_operation(int64_t op) { return (op >= DT_DIM_SUM && op <= DT_DIM_CEIL_DIV) || is_float_operation(op); }

template <class Real>
struct Places;
template <>
struct Places<float> {
  using Bits = uint32_t;
  static constexpr int64_t kLargest = 0x7f7fffff;  // the place of the largest number
};
template <>
struct Places<double> {
  using Bits = uint64_t;
  static constexpr int64_t kLargest = 0x7fefffffffffffff;
};

template <class Real>
bool is_place(int64_t place) {
  return place >= -Places<Real>::kLargest && place <= Places<Real>::kLargest;
}

template <class Real>
Real number_at(int64_t place) {
  const auto bits = static_cast<typename Places<Real>::Bits>(place < 0 ? -place : place);
  Real number = 0;
  std::memcpy(&number, &bits, sizeof number);
  return place < 0 ? -number : number;
}

template <class Real>
DimsTrouble place_of(Real number, int64_t* place) {
  if (!std::isfinite(number)) return DimsTrouble::kOverflow;
  const Real size = std::abs(number);
  typename Places<Real>::Bits bits = 0;
  std::memcpy(&bits, &size, sizeof bits);
  *place = number < 0 ? -static_cast<int64_t>(bits) : static_cast<int64_t>(bits);
  return DimsTrouble::kNone;
}

template <class Real>
DimsTrouble rounded(Real number, int64_t how, int64_t* value) {
  Real whole = 0;
  switch (how) {
    case DT_ROUND_TO_ZERO:
      whole = std::trunc(number);
      break;
    case DT_ROUND_DOWN:
      whole = std::floor(number);
      break;
    case DT_ROUND_UP:
      whole = std::ceil(number);
      break;
    case DT_ROUND_TO_EVEN:
      whole = std::nearbyint(number);
      break;
    default:
      return DimsTrouble::kOverflow;  // nothing that a builder writes
  }
  if (!(whole >= Real(-0x1p63) && whole < Real(0x1p63))) return DimsTrouble::kOverflow;
  *value = static_cast<int64_t>(whole);
  return DimsTrouble::kNone;
}

// The same for an operation that is not a conversion, by its name among those on floats.
template <class Real>
DimsTrouble apply_to(int64_t op, int64_t a, int64_t b, int64_t* value) {
  if (op == DT_DIM_FLOAT_OF) {
    if (b == 0) return DimsTrouble::kDivisionByZero;
    return place_of(static_cast<Real>(a) / static_cast<Real>(b), value);
  }
  if (!is_place<Real>(a) || !is_place<Real>(b)) return DimsTrouble::kOverflow;
  const Real x = number_at<Real>(a), y = number_at<Real>(b);
  switch (op) {
    case DT_DIM_FLOAT_SUM:
      return place_of(x + y, value);
    case DT_DIM_FLOAT_SUB:
      return place_of(x - y, value);
    case DT_DIM_FLOAT_PROD:
      return place_of(x * y, value);
    case DT_DIM_FLOAT_DIV:
      return b == 0 ? DimsTrouble::kDivisionByZero : place_of(x / y, value);
    default:
      return rounded(x, b, value);
  }
}

DimsTrouble apply_to_floats(int64_t op, int64_t a, int64_t b, int64_t* value) {
  if (op == DT_DIM_DOUBLE_OF_FLOAT) {
    return is_place<float>(a) ? place_of<double>(number_at<float>(a), value) : DimsTrouble::kOverflow;
  }
  if (op == DT_DIM_FLOAT_OF_DOUBLE) {
    return is_place<double>(a) ? place_of(static_cast<float>(number_at<double>(a)), value) : DimsTrouble::kOverflow;
  }
  return takes_doubles(op) ? apply_to<double>(as_of_floats(op), a, b, value) : apply_to<float>(op, a, b, value);
}

DimsTrouble apply(int64_t op, int64_t a, int64_t b, int64_t* value) {
  if (is_float_operation(op)) return apply_to_floats(op, a, b, value);
  bool overflows = false;
  switch (op) {
    case DT_DIM_SUM:
      overflows = __builtin_add_overflow(a, b, value);
      break;
    case DT_DIM_PROD:
      overflows = __builtin_mul_overflow(a, b, value);
      break;
    case DT_DIM_MAX:
      *value = std::max(a, b);
      break;
    case DT_DIM_MIN:
      *value = std::min(a, b);
      break;
    case DT_DIM_SUB:
      overflows = __builtin_sub_overflow(a, b, value);
      break;
    case DT_DIM_EQUAL:
      *value = a == b;
      break;
    case DT_DIM_LESS:
      *value = a < b;
      break;
    case DT_DIM_FLOOR_DIV:
      return divide(a, b, false, value);
    case DT_DIM_CEIL_DIV:
      return divide(a, b, true, value);
  }
  return overflows ? DimsTrouble::kOverflow : DimsTrouble::kNone;
}

int64_t cut(__int128 value) {
  constexpr __int128 kLow = std::numeric_limits<int64_t>::min(), kHigh = std::numeric_limits<int64_t>::max();
  return static_cast<int64_t>(std::clamp(value, kLow, kHigh));
}

int64_t quotient(int64_t a, int64_t b, bool up) {
  int64_t value = 0;
  const bool is_largest = divide(a, b, up, &value) == DimsTrouble::kOverflow;  // the one quotient that does not fit
  return is_largest ? std::numeric_limits<int64_t>::max() : value;
}

Interval hull(std::initializer_list<Interval> parts) {
  Interval all = *parts.begin();
  for (const Interval& part : parts) all = {std::min(all.low, part.low), std::max(all.high, part.high)};
  return all;
}

// Of a product or a quotient: the ends are at the corners.
template <class Operation>
Interval corners(const Interval& a, const Interval& b, const Operation& apply) {
  const int64_t values[] = {apply(a.low, b.low), apply(a.low, b.high), apply(a.high, b.low), apply(a.high, b.high)};
  return {*std::min_element(values, values + 4), *std::max_element(values, values + 4)};
}

Interval divide(const Interval& a, const Interval& b, bool up) {
  const auto by = [up](int64_t x, int64_t y) { return quotient(x, y, up); };
  const Interval below = {b.low, std::min<int64_t>(b.high, -1)}, above = {std::max<int64_t>(b.low, 1), b.high};
  if (below.low > below.high && above.low > above.high) return {0, 0};  // by zero: an error, not a value
  if (below.low > below.high) return corners(a, above, by);
  if (above.low > above.high) return corners(a, below, by);
  return hull({corners(a, below, by), corners(a, above, by)});
}

// Rounding keeps order, so the ends are at the corners here too; beyond the largest numbers there is none.
Interval apply_to_floats(int64_t op, Interval a, Interval b) {
  const int64_t kind = as_of_floats(op);
  const int64_t most_taken = takes_doubles(op) ? Places<double>::kLargest : Places<float>::kLargest;
  const int64_t most_given = gives_doubles(op) ? Places<double>::kLargest : Places<float>::kLargest;
  const auto within = [most_taken](const Interval& x) {
    return Interval{std::clamp(x.low, -most_taken, most_taken), std::clamp(x.high, -most_taken, most_taken)};
  };
  if (kind != DT_DIM_FLOAT_OF) a = within(a);
  if (kind != DT_DIM_FLOAT_OF && kind != DT_DIM_FLOAT_ROUND) b = within(b);
  const auto at = [op, kind, most_given](int64_t x, int64_t y) {
    int64_t value = 0;
    if (apply_to_floats(op, x, y, &value) == DimsTrouble::kNone) return value;
    if (kind == DT_DIM_FLOAT_ROUND)
      return x < 0 ? std::numeric_limits<int64_t>::min() : std::numeric_limits<int64_t>::max();
    const bool is_product = kind == DT_DIM_FLOAT_PROD || kind == DT_DIM_FLOAT_DIV || kind == DT_DIM_FLOAT_OF;
    const bool is_negative = is_product ? (x < 0) != (y < 0) : x < 0;
    return is_negative ? -most_given : most_given;
  };
  if (is_conversion(op)) return {at(a.low, 0), at(a.high, 0)};
  if (kind == DT_DIM_FLOAT_SUM) return {at(a.low, b.low), at(a.high, b.high)};
  if (kind == DT_DIM_FLOAT_SUB) return {at(a.low, b.high), at(a.high, b.low)};
  if (kind == DT_DIM_FLOAT_PROD) return corners(a, b, at);
  if (kind == DT_DIM_FLOAT_ROUND) {
    return {at(a.low, b.low == b.high ? b.low : DT_ROUND_DOWN), at(a.high, b.low == b.high ? b.low : DT_ROUND_UP)};
  }
  const Interval below = {b.low, std::min<int64_t>(b.high, -1)}, above = {std::max<int64_t>(b.low, 1), b.high};
  if (below.low > below.high && above.low > above.high) return {0, 0};  // by zero: an error, not a value
  if (below.low > below.high) return corners(a, above, at);
  if (above.low > above.high) return corners(a, below, at);
  return hull({corners(a, below, at), corners(a, above, at)});
}

Interval apply(int64_t op, const Interval& a, const Interval& b) {
  if (is_float_operation(op)) return apply_to_floats(op, a, b);
  switch (op) {
    case DT_DIM_SUM:
      return {cut(__int128{a.low} + b.low), cut(__int128{a.high} + b.high)};
    case DT_DIM_SUB:
      return {cut(__int128{a.low} - b.high), cut(__int128{a.high} - b.low)};
    case DT_DIM_PROD:
      return corners(a, b, [](int64_t x, int64_t y) { return cut(__int128{x} * y); });
    case DT_DIM_MAX:
      return {std::max(a.low, b.low), std::max(a.high, b.high)};
    case DT_DIM_MIN:
      return {std::min(a.low, b.low), std::min(a.high, b.high)};
    case DT_DIM_EQUAL:
      return {a.low == a.high && b.low == b.high && a.low == b.low, a.low <= b.high && b.low <= a.high};
    case DT_DIM_LESS:
      return {a.high < b.low, a.low < b.high};
    default:
      return divide(a, b, op == DT_DIM_CEIL_DIV);
  }
}

// Words that an instruction takes.
size_t length_of(int64_t opcode) { return opcode == kInputDim || opcode == kElement ? 3 : opcode < kOperation ? 2 : 1; }

// What is pushed by an instruction that is neither an operation nor a program.
int64_t pushed(const int64_t* code, const Leaves& leaves) {
  if (code[0] == kConstant) return code[1];
  const auto index = static_cast<size_t>(code[1]);
  if (code[0] == kSize) return leaves.sizes[index];
  const auto position = static_cast<size_t>(code[2]);
  return code[0] == kInputDim ? leaves.extents[index][position] : leaves.contents[index][position];
}

struct Term {
  std::string text;
  int strength;                          // 3 a name or number, 2 a product, 1 a sum, 0 a comparison
  std::optional<int64_t> constant = {};  // may turn out to stand for a number
};

// Operand of an operation on numbers.
template <class Real>
Term number_term(const Term& term) {
  if (!term.constant || !is_place<Real>(*term.constant)) return term;
  const Real number = number_at<Real>(*term.constant);
  char text[32];
  const auto end = std::to_chars(text, text + sizeof text, number).ptr;
  return {std::string(text, end), number < 0 ? 1 : 3};
}

std::string bracketed(const Term& term, int needed) {
  return term.strength < needed ? "(" + term.text + ")" : term.text;
}

Term join(int64_t op, Term a, Term b) {
  static constexpr const char* kRoundings[] = {"trunc", "floor", "ceil", "round"};
  const bool of_doubles = is_float_operation(op) && takes_doubles(op);
  const char* type = is_float_operation(op) && gives_doubles(op) ? "double(" : "float(";
  if (is_float_operation(op)) {
    const auto number = [of_doubles](const Term& term) {
      return of_doubles ? number_term<double>(term) : number_term<float>(term);
    };
    if (is_conversion(op)) return {type + number(a).text + ")", 3};
    op = as_of_floats(op);
    if (op != DT_DIM_FLOAT_OF) a = number(a);
    if (op != DT_DIM_FLOAT_OF && op != DT_DIM_FLOAT_ROUND) b = number(b);
  }
  switch (op) {
    case DT_DIM_FLOAT_OF:
      return {type + a.text + (b.text == "1" ? "" : ", " + b.text) + ")", 3};
    case DT_DIM_FLOAT_DIV:
      return {bracketed(a, 2) + "/" + bracketed(b, 3), 2};
    case DT_DIM_FLOAT_ROUND:
      return {std::string(b.constant && *b.constant >= 0 && *b.constant < 4 ? kRoundings[*b.constant] : "?") + "(" +
                  a.text + ")",
              3};
    case DT_DIM_FLOAT_SUM:
    case DT_DIM_SUM:
      return {bracketed(a, 1) + " + " + bracketed(b, 1), 1};
    case DT_DIM_FLOAT_SUB:
    case DT_DIM_SUB:
      return {bracketed(a, 1) + " - " + bracketed(b, 2), 1};
    case DT_DIM_FLOAT_PROD:
    case DT_DIM_PROD:
      return {bracketed(a, 2) + "*" + bracketed(b, 3), 2};
    case DT_DIM_FLOOR_DIV:
      return {bracketed(a, 2) + "//" + bracketed(b, 3), 2};
    case DT_DIM_EQUAL:
      return {bracketed(a, 1) + " == " + bracketed(b, 1), 0};
    case DT_DIM_LESS:
      return {bracketed(a, 1) + " < " + bracketed(b, 1), 0};
    case DT_DIM_MAX:
      return {"max(" + a.text + ", " + b.text + ")", 3};
    case DT_DIM_MIN:
      return {"min(" + a.text + ", " + b.text + ")", 3};
    default:
      return {"ceil_div(" + a.text + ", " + b.text + ")", 3};
  }
}

}  // namespace

std::string verify_program(const DimsProgram& program, const LeafCounts& counts, size_t n_earlier) {
  if (program.size() > kMaxProgramLength) return "longer than " + std::to_string(kMaxProgramLength);
  int depth = 0;
  for (size_t i = 0; i < program.size();) {
    const int64_t opcode = program[i];
    if (opcode >= kConstant && opcode <= kProgram) {
      if (i + length_of(opcode) > program.size()) return "ends inside an instruction";
      const int64_t index = program[i + 1];
      if (opcode == kSize && (index < 0 || index >= counts.sizes)) return "names size " + std::to_string(index);
      if (opcode == kProgram && (index < 0 || index >= static_cast<int64_t>(n_earlier)))
        return "uses program " + std::to_string(index) + ", which does not come before it";
      if (opcode == kInputDim || opcode == kElement) {
        const std::vector<int>& lengths = opcode == kInputDim ? counts.ranks : counts.contents;
        if (index < 0 || index >= static_cast<int64_t>(lengths.size())) return "names input " + std::to_string(index);
        const int64_t position = program[i + 2];
        if (position < 0 || position >= lengths[static_cast<size_t>(index)])
          return (opcode == kInputDim ? "names axis " : "names element ") + std::to_string(position) + " of input " +
                 std::to_string(index);
      }
      ++depth;
    } else if (opcode >= kOperation && is_operation(opcode - kOperation)) {
      if (depth < 2) return "an operation finds fewer than two operands";
      --depth;
    } else {
      return "unknown opcode " + std::to_string(opcode);
    }
    i += length_of(opcode);
    if (depth > kMaxProgramDepth) return "needs a stack deeper than " + std::to_string(kMaxProgramDepth);
  }
  return depth == 1 ? "" : "leaves " + std::to_string(depth) + " values instead of one";
}

int needed_sizes(const DimsProgram& program, const std::vector<int>& earlier) {
  int64_t needed = 0;
  for (size_t i = 0; i < program.size(); i += length_of(program[i])) {
    if (program[i] == kSize) needed = std::max(needed, program[i + 1] + 1);
    if (program[i] == kProgram) needed = std::max<int64_t>(needed, earlier[static_cast<size_t>(program[i + 1])]);
  }
  return static_cast<int>(needed);
}

DimsTrouble evaluate(const DimsProgram& program, const Leaves& leaves, int64_t* value, const ProgramResults& earlier) {
  int64_t stack[kMaxProgramDepth];
  int depth = 0;
  const int64_t* code = program.data();
  const int64_t* end = code + program.size();
  while (code < end) {
    if (code[0] == kProgram) {
      const auto index = static_cast<size_t>(code[1]);
      if (earlier.troubles[index] != DimsTrouble::kNone) return earlier.troubles[index];
      stack[depth++] = earlier.values[index];
    } else if (code[0] < kOperation) {
      stack[depth++] = pushed(code, leaves);
    } else {
      --depth;
      const DimsTrouble trouble = apply(code[0] - kOperation, stack[depth - 1], stack[depth], &stack[depth - 1]);
      if (trouble != DimsTrouble::kNone) return trouble;
    }
    code += length_of(code[0]);
  }
  *value = stack[0];
  return DimsTrouble::kNone;
}

DimsTrouble operate(int64_t op, int64_t a, int64_t b, int64_t* value) { return apply(op, a, b, value); }

Interval bounds_of(const DimsProgram& program, const Leaves& low, const Leaves& high,
                   const std::vector<Interval>& earlier) {
  Interval stack[kMaxProgramDepth];
  int depth = 0;
  for (size_t i = 0; i < program.size(); i += length_of(program[i])) {
    if (program[i] == kProgram) {
      stack[depth++] = earlier[static_cast<size_t>(program[i + 1])];
    } else if (program[i] < kOperation) {
      stack[depth++] = {pushed(&program[i], low), pushed(&program[i], high)};
    } else {
      --depth;
      stack[depth - 1] = apply(program[i] - kOperation, stack[depth - 1], stack[depth]);
    }
  }
  return stack[0];
}

std::string program_text(const std::vector<DimsProgram>& programs, size_t index, const LeafNames& names) {
  // First what it uses, however deep: a program uses earlier ones only, so that ascending order has operands first.
  std::vector<char> is_used(index + 1, 0);
  is_used[index] = 1;
  for (size_t p = index + 1; p-- > 0;)
    for (size_t i = 0; is_used[p] && i < programs[p].size(); i += length_of(programs[p][i]))
      if (programs[p][i] == kProgram) is_used[static_cast<size_t>(programs[p][i + 1])] = 1;
  std::vector<Term> texts(index + 1);
  for (size_t p = 0; p <= index; ++p) {
    if (!is_used[p]) continue;
    std::vector<Term> stack;
    const auto push = [&stack](Term term) {
      stack.push_back(term.text.size() > kLongestOperand ? Term{"...", 3} : std::move(term));
    };
    for (size_t i = 0; i < programs[p].size(); i += length_of(programs[p][i])) {
      const int64_t* code = &programs[p][i];
      if (code[0] == kConstant) {
        push({std::to_string(code[1]), code[1] < 0 ? 1 : 3, code[1]});
      } else if (code[0] == kSize) {
        push({names.size(static_cast<int>(code[1])), 3});
      } else if (code[0] == kProgram) {
        push(texts[static_cast<size_t>(code[1])]);
      } else if (code[0] < kOperation) {
        const auto& name = code[0] == kInputDim ? names.extent : names.element;
        push({name(static_cast<int>(code[1]), static_cast<int>(code[2])), 3});
      } else {
        const Term b = stack.back();
        stack.pop_back();
        const Term joined = join(code[0] - kOperation, stack.back(), b);
        stack.pop_back();
        const bool is_last = p == index && i + 1 == programs[p].size();
        is_last ? stack.push_back(joined) : push(joined);
      }
    }
    if (!stack.empty()) texts[p] = stack.back();
  }
  return texts[index].text;
}

}  // namespace dovetail
