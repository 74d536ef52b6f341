// SPDX-License-Identifier: Apache-2.0
// Programs over extents: what is refused, what they give, how they print.
#include <cmath>
#include <cstring>
#include <limits>

#include "check.hpp"
#include "runtime/dims.hpp"

using namespace dovetail;

namespace {

constexpr int64_t kMin = std::numeric_limits<int64_t>::min(), kMax = std::numeric_limits<int64_t>::max();

int64_t apply(int op, int64_t a, int64_t b) {
  int64_t value = -12345;
  EXPECT(evaluate({0, a, 0, b, 16 + op}, {}, &value) == DimsTrouble::kNone);
  return value;
}

DimsTrouble trouble(int op, int64_t a, int64_t b) {
  int64_t value = 77;
  const DimsTrouble found = evaluate({0, a, 0, b, 16 + op}, {}, &value);
  EXPECT_EQ(value, 77);
  return found;
}

void test_division_floors_and_ceils_for_every_sign() {
  EXPECT_EQ(apply(DT_DIM_FLOOR_DIV, 7, 2), 3);
  EXPECT_EQ(apply(DT_DIM_FLOOR_DIV, -7, 2), -4);
  EXPECT_EQ(apply(DT_DIM_FLOOR_DIV, 7, -2), -4);
  EXPECT_EQ(apply(DT_DIM_FLOOR_DIV, -7, -2), 3);
  EXPECT_EQ(apply(DT_DIM_CEIL_DIV, 7, 2), 4);
  EXPECT_EQ(apply(DT_DIM_CEIL_DIV, -7, 2), -3);
  EXPECT_EQ(apply(DT_DIM_CEIL_DIV, 7, -2), -3);
  EXPECT_EQ(apply(DT_DIM_CEIL_DIV, -7, -2), 4);
  EXPECT_EQ(apply(DT_DIM_FLOOR_DIV, -6, 2), -3);
  EXPECT_EQ(apply(DT_DIM_CEIL_DIV, -6, 2), -3);
  EXPECT_EQ(apply(DT_DIM_FLOOR_DIV, kMin + 1, -1), kMax);
}

void test_the_other_operations() {
  EXPECT_EQ(apply(DT_DIM_SUM, 7, -2), 5);
  EXPECT_EQ(apply(DT_DIM_PROD, 7, -2), -14);
  EXPECT_EQ(apply(DT_DIM_MAX, 7, -2), 7);
  EXPECT_EQ(apply(DT_DIM_MIN, 7, -2), -2);
  EXPECT_EQ(apply(DT_DIM_SUB, 7, -2), 9);
  EXPECT_EQ(apply(DT_DIM_EQUAL, 7, 7), 1);
  EXPECT_EQ(apply(DT_DIM_LESS, 7, 7), 0);
}

void test_overflow_and_division_by_zero_are_told() {
  EXPECT(trouble(DT_DIM_SUM, kMax, 1) == DimsTrouble::kOverflow);
  EXPECT(trouble(DT_DIM_SUB, kMin, 1) == DimsTrouble::kOverflow);
  EXPECT(trouble(DT_DIM_PROD, kMax, 2) == DimsTrouble::kOverflow);
  EXPECT(trouble(DT_DIM_FLOOR_DIV, kMin, -1) == DimsTrouble::kOverflow);
  EXPECT(trouble(DT_DIM_CEIL_DIV, kMin, -1) == DimsTrouble::kOverflow);
  EXPECT(trouble(DT_DIM_FLOOR_DIV, 3, 0) == DimsTrouble::kDivisionByZero);
  EXPECT(trouble(DT_DIM_CEIL_DIV, 0, 0) == DimsTrouble::kDivisionByZero);
}

// The place of a float32 number among all.
int64_t place(float number) {
  int32_t bits = 0;
  std::memcpy(&bits, &number, sizeof bits);
  return bits < 0 ? -int64_t{bits & 0x7fffffff} : int64_t{bits};
}

// The same of a float64 number.
int64_t wide(double number) {
  int64_t bits = 0;
  const double size = std::abs(number);
  std::memcpy(&bits, &size, sizeof bits);
  return number < 0 ? -bits : bits;
}

void test_operations_on_float64_numbers_round_each_step() {
  EXPECT_EQ(apply(DT_DIM_DOUBLE_OF, 7, 2), wide(3.5));
  EXPECT_EQ(apply(DT_DIM_DOUBLE_OF, 16777217, 1), wide(16777217.0));
  EXPECT_EQ(apply(DT_DIM_DOUBLE_OF, (int64_t{1} << 53) + 1, 1), wide(0x1p53));
  EXPECT_EQ(apply(DT_DIM_DOUBLE_OF, 0, -5), 0);
  EXPECT_EQ(apply(DT_DIM_DOUBLE_SUM, wide(0.1), wide(0.2)), wide(0.1 + 0.2));
  EXPECT_EQ(apply(DT_DIM_DOUBLE_SUB, wide(0.1), wide(0.2)), -wide(0.1));
  EXPECT_EQ(apply(DT_DIM_DOUBLE_PROD, wide(100.0), wide(0.29)), wide(28.999999999999996));
  EXPECT_EQ(apply(DT_DIM_FLOAT_PROD, place(100.0F), place(0.29F)), place(29.0F));
  EXPECT_EQ(apply(DT_DIM_DOUBLE_DIV, wide(-1.0), wide(49.0)), wide(-1.0 / 49.0));
  EXPECT_EQ(apply(DT_DIM_DOUBLE_OF_FLOAT, place(-0.1F), 0), wide(static_cast<double>(-0.1F)));
  EXPECT_EQ(apply(DT_DIM_FLOAT_OF_DOUBLE, wide(-0.1), 0), place(-0.1F));
  EXPECT_EQ(apply(DT_DIM_FLOAT_OF_DOUBLE, wide(1e-60), 0), 0);
  const double numbers[] = {-2.5, -1.5, -0.5, -0.25, 0.0, 0.5, 1.5, 2.5, 2.75, 28.999999999999996, 4503599627370495.5};
  for (const double x : numbers) {
    EXPECT_EQ(apply(DT_DIM_DOUBLE_ROUND, wide(x), DT_ROUND_TO_ZERO), static_cast<int64_t>(x));
    EXPECT_EQ(apply(DT_DIM_DOUBLE_ROUND, wide(x), DT_ROUND_DOWN), static_cast<int64_t>(std::floor(x)));
    EXPECT_EQ(apply(DT_DIM_DOUBLE_ROUND, wide(x), DT_ROUND_UP), static_cast<int64_t>(std::ceil(x)));
    EXPECT_EQ(apply(DT_DIM_DOUBLE_ROUND, wide(x), DT_ROUND_TO_EVEN), static_cast<int64_t>(std::nearbyint(x)));
  }
}

void test_float64_numbers_that_do_not_exist() {
  const int64_t largest = wide(std::numeric_limits<double>::max());
  EXPECT(trouble(DT_DIM_DOUBLE_OF, 1, 0) == DimsTrouble::kDivisionByZero);
  EXPECT(trouble(DT_DIM_DOUBLE_DIV, wide(1.0), 0) == DimsTrouble::kDivisionByZero);
  EXPECT(trouble(DT_DIM_DOUBLE_SUM, largest, largest) == DimsTrouble::kOverflow);
  EXPECT(trouble(DT_DIM_DOUBLE_PROD, largest, -largest) == DimsTrouble::kOverflow);
  EXPECT(trouble(DT_DIM_DOUBLE_ROUND, wide(0x1p63), DT_ROUND_DOWN) == DimsTrouble::kOverflow);
  EXPECT(trouble(DT_DIM_DOUBLE_ROUND, wide(1.5), 4) == DimsTrouble::kOverflow);
  EXPECT(trouble(DT_DIM_FLOAT_OF_DOUBLE, wide(1e39), 0) == DimsTrouble::kOverflow);
  EXPECT(trouble(DT_DIM_DOUBLE_OF_FLOAT, place(std::numeric_limits<float>::max()) + 1, 0) == DimsTrouble::kOverflow);
  for (int op = DT_DIM_DOUBLE_SUM; op <= DT_DIM_DOUBLE_ROUND; ++op) {
    for (const int64_t beyond : {largest + 1, -largest - 1, kMin, kMax}) {
      EXPECT(trouble(op, beyond, 1) == DimsTrouble::kOverflow);
      EXPECT(trouble(op, 1, beyond) == DimsTrouble::kOverflow);
    }
  }
  for (const int64_t beyond : {largest + 1, -largest - 1, kMin, kMax})
    EXPECT(trouble(DT_DIM_FLOAT_OF_DOUBLE, beyond, 0) == DimsTrouble::kOverflow);
}

void test_operations_on_float32_numbers_round_each_step() {
  EXPECT_EQ(apply(DT_DIM_FLOAT_OF, 7, 2), place(3.5F));
  EXPECT_EQ(apply(DT_DIM_FLOAT_OF, 16777217, 1), place(16777216.0F));
  EXPECT_EQ(apply(DT_DIM_FLOAT_OF, kMin, -1), place(0x1p63F));
  EXPECT_EQ(apply(DT_DIM_FLOAT_OF, 0, -5), 0);
  EXPECT_EQ(apply(DT_DIM_FLOAT_SUM, place(0.1F), place(0.2F)), place(0.1F + 0.2F));
  EXPECT_EQ(apply(DT_DIM_FLOAT_SUB, place(0.1F), place(0.2F)), -place(0.1F));
  EXPECT_EQ(apply(DT_DIM_FLOAT_PROD, place(10.0F), place(0.7F)), place(7.0F));
  EXPECT_EQ(apply(DT_DIM_FLOAT_DIV, place(-1.0F), place(49.0F)), place(-1.0F / 49.0F));
  const float numbers[] = {-2.5F, -1.5F, -0.5F, -0.25F, 0.0F, 0.5F, 1.5F, 2.5F, 2.75F, 8388607.5F};
  for (const float x : numbers) {
    EXPECT_EQ(apply(DT_DIM_FLOAT_ROUND, place(x), DT_ROUND_TO_ZERO), static_cast<int64_t>(x));
    EXPECT_EQ(apply(DT_DIM_FLOAT_ROUND, place(x), DT_ROUND_DOWN), static_cast<int64_t>(std::floor(x)));
    EXPECT_EQ(apply(DT_DIM_FLOAT_ROUND, place(x), DT_ROUND_UP), static_cast<int64_t>(std::ceil(x)));
    EXPECT_EQ(apply(DT_DIM_FLOAT_ROUND, place(x), DT_ROUND_TO_EVEN), static_cast<int64_t>(std::nearbyint(x)));
  }
}

void test_float32_numbers_that_do_not_exist() {
  const int64_t largest = place(std::numeric_limits<float>::max());
  EXPECT(trouble(DT_DIM_FLOAT_OF, 1, 0) == DimsTrouble::kDivisionByZero);
  EXPECT(trouble(DT_DIM_FLOAT_DIV, place(1.0F), 0) == DimsTrouble::kDivisionByZero);
  EXPECT(trouble(DT_DIM_FLOAT_SUM, largest, largest) == DimsTrouble::kOverflow);
  EXPECT(trouble(DT_DIM_FLOAT_PROD, largest, -largest) == DimsTrouble::kOverflow);
  EXPECT(trouble(DT_DIM_FLOAT_ROUND, place(0x1p63F), DT_ROUND_DOWN) == DimsTrouble::kOverflow);
  EXPECT(trouble(DT_DIM_FLOAT_ROUND, place(1.5F), 4) == DimsTrouble::kOverflow);
  EXPECT(trouble(DT_DIM_FLOAT_ROUND, place(1.5F), -1) == DimsTrouble::kOverflow);
  for (int op = DT_DIM_FLOAT_SUM; op <= DT_DIM_FLOAT_ROUND; ++op) {
    for (const int64_t beyond : {largest + 1, -largest - 1, kMin, kMax}) {
      EXPECT(trouble(op, beyond, 1) == DimsTrouble::kOverflow);
      EXPECT(trouble(op, 1, beyond) == DimsTrouble::kOverflow);
    }
  }
}

void test_broken_programs_are_refused() {
  const LeafCounts ranks = {{2, 1}, {0, 3}, 2};
  EXPECT_EQ(verify_program({0, 1}, ranks), "");
  EXPECT_EQ(verify_program({1, 0, 1}, ranks), "");
  EXPECT_EQ(verify_program({2, 1, 2}, ranks), "");
  EXPECT_EQ(verify_program({3, 1}, ranks), "");
  for (const DimsProgram& broken : std::vector<DimsProgram>{{},
                                                            {0},
                                                            {1, 0},
                                                            {1, 2, 0},
                                                            {2, 0, 0},
                                                            {2, 1, 3},
                                                            {2, 1},
                                                            {3},
                                                            {3, 2},
                                                            {3, -1},
                                                            {1, -1, 0},
                                                            {1, 0, 2},
                                                            {1, 0, -1},
                                                            {16},
                                                            {0, 1, 16},
                                                            {0, 1, 0, 2},
                                                            {2},
                                                            {0, 1, 0, 2, 15},
                                                            {0, 1, 0, 2, 16 + 9},
                                                            {0, 1, 0, 2, 16 + 31},
                                                            {0, 1, 0, 2, 16 + 46},
                                                            {-1},
                                                            {kMax},
                                                            {kMin}})
    EXPECT(verify_program(broken, ranks) != "");
  DimsProgram deep;
  for (int i = 0; i <= kMaxProgramDepth; ++i) deep.insert(deep.end(), {0, 1});
  deep.insert(deep.end(), kMaxProgramDepth, 16);
  EXPECT(verify_program(deep, ranks) != "");
  EXPECT(verify_program(DimsProgram(2 * kMaxProgramLength, 0), ranks) != "");
}

void test_leaves_are_looked_up_and_sizes_counted() {
  const Leaves leaves = {{{5, 6}}, {{7, 8}}, {9, 10}};
  const DimsProgram program = {1, 0, 1, 2, 0, 0, 16, 3, 1, 16};
  int64_t value = 0;
  EXPECT(evaluate(program, leaves, &value) == DimsTrouble::kNone);
  EXPECT_EQ(value, 6 + 7 + 10);
  EXPECT_EQ(needed_sizes(program), 2);
  EXPECT_EQ(needed_sizes({1, 0, 1, 0, 3, 16}), 0);  // a constant 3 is no size
}

// Every value at every extent between the ends is within the bounds, and products of one extent meet them.
void test_bounds_hold_between_the_ends() {
  const Dims low = {-7, 1}, high = {9, 6};
  const Leaves least_leaves = {{low}, {}, {}}, most_leaves = {{high}, {}, {}};
  const auto is = [&](const DimsProgram& program, int64_t least, int64_t most) {
    const Interval bounds = bounds_of(program, least_leaves, most_leaves);
    EXPECT_EQ(bounds.low, least);
    EXPECT_EQ(bounds.high, most);
  };
  for (int op = DT_DIM_SUM; op <= DT_DIM_CEIL_DIV; ++op) {
    for (int64_t n = -3; n <= 3; ++n) {
      const DimsProgram program = {1, 0, 0, 0, n, 16 + DT_DIM_SUB, 1, 0, 1, 0, n, 16 + DT_DIM_SUM, 16 + op};
      const Interval bounds = bounds_of(program, least_leaves, most_leaves);
      for (Dims at = low; at[0] <= high[0]; ++at[0]) {
        for (at[1] = low[1]; at[1] <= high[1]; ++at[1]) {
          int64_t value = 0;
          if (evaluate(program, {{at}, {}, {}}, &value) != DimsTrouble::kNone) continue;
          EXPECT(value >= bounds.low && value <= bounds.high);
        }
      }
    }
  }
  // float(n + k) op float(m + k), whose places are far apart; and that rounded
  for (int op = DT_DIM_FLOAT_OF; op <= DT_DIM_DOUBLE_DIV; ++op) {
    if (op == DT_DIM_FLOAT_ROUND) continue;
    const int64_t of = op < DT_DIM_DOUBLE_OF ? DT_DIM_FLOAT_OF : DT_DIM_DOUBLE_OF;
    const int64_t round = of + DT_DIM_FLOAT_ROUND - DT_DIM_FLOAT_OF;
    for (int64_t n = -3; n <= 3; ++n) {
      DimsProgram program = {1, 0, 0, 0, n, 16 + DT_DIM_SUM, 0, 1, 16 + of, 1, 0, 1, 0, n, 16 + DT_DIM_SUM};
      if (op == of) program.erase(program.begin() + 6, program.begin() + 9);
      if (op != of) program.insert(program.end(), {0, 1, 16 + of});
      program.push_back(16 + op);
      for (int64_t how = -1; how <= DT_ROUND_TO_EVEN; ++how) {
        DimsProgram whole = program;
        if (how >= 0) whole.insert(whole.end(), {0, how, 16 + round});
        EXPECT_EQ(verify_program(whole, {{2}, {0}, 0}), "");
        const Interval bounds = bounds_of(whole, least_leaves, most_leaves);
        for (Dims at = low; at[0] <= high[0]; ++at[0]) {
          for (at[1] = low[1]; at[1] <= high[1]; ++at[1]) {
            int64_t value = 0;
            if (evaluate(whole, {{at}, {}, {}}, &value) != DimsTrouble::kNone) continue;
            EXPECT(value >= bounds.low && value <= bounds.high);
          }
        }
      }
    }
  }
  is({1, 0, 1, 0, 1, 16 + DT_DIM_FLOAT_OF, 0, place(0.7F), 16 + DT_DIM_FLOAT_PROD, 0, 1, 16 + DT_DIM_FLOAT_ROUND}, 0,
     4);
  is({0, 5, 0, 1, 16 + DT_DIM_FLOAT_OF, 1, 0, 0, 16 + DT_DIM_FLOAT_ROUND}, 5, 5);  // whichever way it is rounded
  is({1, 0, 1, 0, 1, 16 + DT_DIM_DOUBLE_OF, 0, wide(0.7), 16 + DT_DIM_DOUBLE_PROD, 0, 1, 16 + DT_DIM_DOUBLE_ROUND}, 0,
     4);
  is({1, 0, 1, 0, 1, 16 + DT_DIM_FLOAT_OF, 0, 0, 16 + DT_DIM_DOUBLE_OF_FLOAT}, wide(1.0), wide(6.0));
  is({1, 0, 1, 0, 1, 16 + DT_DIM_DOUBLE_OF, 0, 0, 16 + DT_DIM_FLOAT_OF_DOUBLE}, place(1.0F), place(6.0F));
  is({0, wide(1e300), 0, 0, 16 + DT_DIM_FLOAT_OF_DOUBLE}, 0x7f7fffff, 0x7f7fffff);  // an error when evaluated
  is({1, 0, 1}, 1, 6);
  is({1, 0, 1, 0, 5, 1, 0, 1, 16 + DT_DIM_SUB, 16 + DT_DIM_PROD}, -6, 24);  // n * (5 - n), largest between the ends
  is({1, 0, 0, 0, 2, 16 + DT_DIM_FLOOR_DIV}, -4, 4);
  is({0, 12, 1, 0, 0, 16 + DT_DIM_CEIL_DIV}, -12, 12);  // a divisor around zero
  is({1, 0, 1, 0, 0, 16 + DT_DIM_FLOOR_DIV}, 0, 0);
  is({0, kMax, 1, 0, 1, 16 + DT_DIM_PROD}, kMax, kMax);
  is({0, kMin, 0, -1, 16 + DT_DIM_FLOOR_DIV}, kMax, kMax);
}

void test_programs_print_as_people_write_them() {
  LeafNames leaf;
  leaf.extent = [](int, int axis) { return std::string(1, static_cast<char>('N' + axis)); };
  leaf.element = [](int, int element) { return "v" + std::to_string(element); };
  leaf.size = [](int size) { return "size" + std::to_string(size); };
  const std::vector<DimsProgram> programs = {{1, 0, 0, 0, 2, 16 + 0, 0, 4, 16 + 7},
                                             {1, 0, 0, 1, 0, 1, 0, 1, 16 + 4, 16 + 4},
                                             {1, 0, 0, 0, 3, 16 + 2, 0, 2, 16 + 1},
                                             {2, 0, 4, 3, 1, 16 + 1},
                                             {4, 0, 4, 1, 16 + 1},
                                             {1, 0, 0, 0, 1, 48, 0, place(0.7F), 51, 0, 1, 53},
                                             {0, 3, 1, 0, 0, 48, 0, place(-0.5F), 50, 0, place(2.0F), 52},
                                             {1, 0, 0, 0, 1, 54, 0, wide(0.29), 57, 0, 0, 59},
                                             {0, 3, 1, 0, 0, 54, 0, wide(-0.1), 56, 0, 0, 61, 0, 0, 60}};
  EXPECT_EQ(program_text(programs, 0, leaf), "(N + 2)//4");
  EXPECT_EQ(program_text(programs, 1, leaf), "N - (O - 1)");
  EXPECT_EQ(program_text(programs, 2, leaf), "max(N, 3)*2");
  EXPECT_EQ(program_text(programs, 3, leaf), "v4*size1");
  EXPECT_EQ(program_text(programs, 4, leaf), "(N + 2)//4*(N - (O - 1))");
  EXPECT_EQ(program_text(programs, 5, leaf), "floor(float(N)*0.7)");
  EXPECT_EQ(program_text(programs, 6, leaf), "(float(3, N) - (-0.5))/2");
  EXPECT_EQ(program_text(programs, 7, leaf), "trunc(double(N)*0.29)");
  EXPECT_EQ(program_text(programs, 8, leaf), "double(float(double(3, N) - (-0.1)))");
  std::vector<DimsProgram> doubled = {{1, 0, 0}};  // each the sum of the one before and itself
  for (int64_t i = 0; i < 500; ++i) doubled.push_back({4, i, 4, i, 16 + 0});
  EXPECT_EQ(program_text(doubled, 2, leaf), "N + N + N + N");
  EXPECT(program_text(doubled, 500, leaf).size() < 300);
}

void test_programs_use_earlier_ones() {
  const LeafCounts counts = {{1}, {0}, 2};
  EXPECT_EQ(verify_program({4, 1}, counts, 2), "");
  EXPECT(verify_program({4, 2}, counts, 2) != "");
  EXPECT(verify_program({4, -1}, counts, 2) != "");
  EXPECT(verify_program({4}, counts, 2) != "");
  EXPECT_EQ(needed_sizes({3, 0, 4, 0, 16}, {2}), 2);
  const ProgramResults earlier = {{10, 0}, {DimsTrouble::kNone, DimsTrouble::kDivisionByZero}};
  int64_t value = 0;
  EXPECT(evaluate({4, 0, 0, 2, 16 + DT_DIM_PROD}, {}, &value, earlier) == DimsTrouble::kNone);
  EXPECT_EQ(value, 20);
  EXPECT(evaluate({4, 0, 4, 1, 16 + DT_DIM_PROD}, {}, &value, earlier) == DimsTrouble::kDivisionByZero);
  const Interval bounds = bounds_of({4, 0, 0, 2, 16 + DT_DIM_PROD}, {}, {}, {{-3, 4}});
  EXPECT_EQ(bounds.low, -6);
  EXPECT_EQ(bounds.high, 8);
}

}  // namespace

int main() {
  test_division_floors_and_ceils_for_every_sign();
  test_the_other_operations();
  test_overflow_and_division_by_zero_are_told();
  test_operations_on_float64_numbers_round_each_step();
  test_float64_numbers_that_do_not_exist();
  test_operations_on_float32_numbers_round_each_step();
  test_float32_numbers_that_do_not_exist();
  test_broken_programs_are_refused();
  test_leaves_are_looked_up_and_sizes_counted();
  test_bounds_hold_between_the_ends();
  test_programs_print_as_people_write_them();
  test_programs_use_earlier_ones();
  return tests::report("test_dims");
}
