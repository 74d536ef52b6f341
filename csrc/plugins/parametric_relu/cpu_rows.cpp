// SPDX-License-Identifier: Apache-2.0
// ParametricReLU@1#cpu: tactics, best first.
#include "cpu_kernels.hpp"
#include "rows.hpp"

using namespace dovetail;

namespace {

template <void (*kernel)(const PairArgs&, int64_t, int64_t, int64_t, int64_t)>
void enqueue(const ParametricReluParams&, const Run& run) {
  const Tensor x = run.input(0), slopes = run.input(1), y = run.output(0);
  const FormatView view = view_of(y);
  if (view.stored() == 0) return;
  PairArgs args = {};
  args.a = x.data<void>();
  args.b = slopes.data<void>();
  args.y = y.data<void>();
  args.type = static_cast<int32_t>(x.type());
  set_broadcast<2>(&args, {x, slopes});
  parallel_broadcast(run, args, 12,
                     [&](int64_t first_row, int64_t last_row, int64_t first_column, int64_t last_column) {
                       kernel(args, first_row, last_row, first_column, last_column);
                     });
  zero_padding(view, args.y, size_of(y.type()));
}

#define PARAMETRIC_RELU_ROW(isa, features, format) \
  {.tactic = format "_" #isa,                      \
   .needs = features,                              \
   .types = kParametricReluTypes,                  \
   .formats = format,                              \
   .fits = fits_parametric_relu,                   \
   .enqueue = enqueue<isa::parametric_relu>},

constexpr Row<ParametricReluParams> kRows[] = {DOVETAIL_EACH_ISA_WITH(DOVETAIL_EACH_FORMAT_OF, PARAMETRIC_RELU_ROW)};

}  // namespace

DOVETAIL_IMPLEMENTS("ParametricReLU@1#cpu", ParametricReluParams, kRows)
