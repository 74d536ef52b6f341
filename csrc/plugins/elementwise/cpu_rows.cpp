// SPDX-License-Identifier: Apache-2.0
// Elementwise@1#cpu: tactics, best first.
#include "cpu_kernels.hpp"
#include "rows.hpp"

using namespace dovetail;

namespace {

template <void (*kernel)(const ElementwiseArgs&, int64_t, int64_t, int64_t, int64_t)>
void enqueue(const ElementwiseParams& params, const Run& run) {
  const Tensor a = run.input(0), b = run.input(1), y = run.output(0);
  const FormatView view = view_of(y);
  if (view.stored() == 0) return;
  ElementwiseArgs args = {};
  args.a = a.data<void>();
  args.b = b.data<void>();
  args.y = y.data<void>();
  args.kind = params.op;
  args.type = static_cast<int32_t>(a.type());
  set_broadcast<2>(&args, {a, b});
  parallel_broadcast(run, args, params.op == kPow ? 100 : 12,
                     [&](int64_t first_row, int64_t last_row, int64_t first_column, int64_t last_column) {
                       kernel(args, first_row, last_row, first_column, last_column);
                     });
  zero_padding(view, args.y, size_of(y.type()));
}

#define ELEMENTWISE_ROW(isa, features, format) \
  {.tactic = format "_" #isa,                  \
   .needs = features,                          \
   .types = kArithmeticTypes,                  \
   .formats = format,                          \
   .fits = fits_elementwise,                   \
   .enqueue = enqueue<isa::elementwise>},      \
      {.tactic = format "_bool_" #isa,         \
       .needs = features,                      \
       .types = kComparisonTypes,              \
       .formats = format,                      \
       .fits = fits_elementwise,               \
       .enqueue = enqueue<isa::elementwise>},

constexpr Row<ElementwiseParams> kRows[] = {DOVETAIL_EACH_ISA_WITH(DOVETAIL_EACH_FORMAT_OF, ELEMENTWISE_ROW)};

}  // namespace

DOVETAIL_IMPLEMENTS("ElementWise@1#cpu", ElementwiseParams, kRows)
