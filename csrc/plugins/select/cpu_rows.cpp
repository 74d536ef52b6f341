// SPDX-License-Identifier: Apache-2.0
// Select@1#cpu: tactics, best first.
#include "cpu_kernels.hpp"
#include "rows.hpp"

using namespace dovetail;

namespace {

template <void (*kernel)(const SelectArgs&, int64_t, int64_t, int64_t, int64_t)>
void enqueue(const SelectParams&, const Run& run) {
  const Tensor condition = run.input(0), a = run.input(1), b = run.input(2), y = run.output(0);
  const FormatView view = view_of(y);
  if (view.stored() == 0) return;
  SelectArgs args = {};
  args.condition = condition.data<const uint8_t>();
  args.a = a.data<void>();
  args.b = b.data<void>();
  args.y = y.data<void>();
  args.element_bytes = size_of(y.type());
  set_broadcast<3>(&args, {condition, a, b});
  parallel_broadcast(run, args, 3 * args.element_bytes + 1,
                     [&](int64_t first_row, int64_t last_row, int64_t first_column, int64_t last_column) {
                       kernel(args, first_row, last_row, first_column, last_column);
                     });
  zero_padding(view, args.y, args.element_bytes);
}

#define SELECT_ROW(isa, features, format) \
  {.tactic = format "_" #isa,             \
   .needs = features,                     \
   .types = kSelectTypes,                 \
   .formats = format,                     \
   .fits = fits_select,                   \
   .enqueue = enqueue<isa::select>},

constexpr Row<SelectParams> kRows[] = {DOVETAIL_EACH_ISA_WITH(DOVETAIL_EACH_FORMAT_OF, SELECT_ROW)};

}  // namespace

DOVETAIL_IMPLEMENTS("Select@1#cpu", SelectParams, kRows)
