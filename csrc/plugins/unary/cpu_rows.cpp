// SPDX-License-Identifier: Apache-2.0
// Unary@1#cpu: tactics, best first.
#include "cpu_kernels.hpp"
#include "kernels/layout/format.hpp"
#include "rows.hpp"

using namespace dovetail;

namespace {

// Operations an element, for cutting the work among threads.
int64_t cost(int32_t kind) {
  const bool is_cheap = kind == kRecip || kind == kAbs || kind == kNeg || kind == kCeil || kind == kFloor ||
                        kind == kNot || kind == kSign || kind == kRound || kind == kIsinf || kind == kIsnan;
  return is_cheap ? 8 : 40;
}

template <void (*kernel)(const UnaryArgs&, int64_t, int64_t)>
void enqueue(const UnaryParams& params, const Run& run) {
  const Tensor x = run.input(0), y = run.output(0);
  const FormatView view = view_of(x);
  const UnaryArgs args = {x.data<void>(), y.data<void>(), static_cast<int32_t>(x.type()), params.op};
  parallel_ranges(run, view.stored(), cost(params.op), 64,
                  [&](int64_t first, int64_t last) { kernel(args, first, last); });
  zero_padding(view, args.y, size_of(y.type()));
}

#define UNARY_ROWS(isa, features, format) \
  {.tactic = format "_" #isa,             \
   .needs = features,                     \
   .types = kUnaryFloats,                 \
   .formats = format " -> " format,       \
   .fits = fits_unary,                    \
   .enqueue = enqueue<isa::unary>,        \
   .traits = kInPlace},                   \
      {.tactic = format "_integer_" #isa, \
       .needs = features,                 \
       .types = kUnaryIntegers,           \
       .formats = format " -> " format,   \
       .fits = fits_unary,                \
       .enqueue = enqueue<isa::unary>,    \
       .traits = kInPlace},               \
      {.tactic = format "_bool_" #isa,    \
       .needs = features,                 \
       .types = kUnaryQuestions,          \
       .formats = format " -> " format,   \
       .fits = fits_unary,                \
       .enqueue = enqueue<isa::unary>},

constexpr Row<UnaryParams> kRows[] = {DOVETAIL_EACH_ISA_WITH(DOVETAIL_EACH_FORMAT_OF, UNARY_ROWS)};

}  // namespace

DOVETAIL_IMPLEMENTS("Unary@1#cpu", UnaryParams, kRows)
