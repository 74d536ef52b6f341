// SPDX-License-Identifier: Apache-2.0
// Dequantize@1#cpu: tactics, best first.
#include "cpu_kernels.hpp"
#include "rows.hpp"

using namespace dovetail;

namespace {

uint64_t workspace(const DequantizeParams& params, const Descs& inputs, const Descs&, int) {
  return parameter_bytes(layout_of(params, inputs), inputs, kScale);
}

template <void (*kernel)(const DequantizeArgs&, int64_t, int64_t)>
void enqueue(const DequantizeParams& params, const Run& run) {
  const Tensor x = run.input(kX), y = run.output(0);
  const ParameterLayout layout = layout_of(params, x, run.input(kScale));
  float* scratch = run.workspace<float>();
  const float* scale = parameters(run, kScale, layout, 1.0f, &scratch);
  const int32_t float_type = static_cast<int32_t>(y.type());
  const DequantizeArgs args = {x.data<void>(), y.data<void>(), float_type,  scale,
                               layout.groups,  layout.inner,   layout.lanes};
  parallel_ranges(run, layout.view.stored(), 8, 64, [&](int64_t first, int64_t last) { kernel(args, first, last); });
  zero_padding(layout.view, args.y, size_of(y.type()));
}

#define DEQUANTIZE_ROW(isa, features, format) \
  {.tactic = format "_" #isa,                 \
   .needs = features,                         \
   .types = kDequantizeTypes,                 \
   .formats = format " linear -> " format,    \
   .fits = fits_dequantize,                   \
   .workspace = workspace,                    \
   .enqueue = enqueue<isa::dequantize>},

constexpr Row<DequantizeParams> kRows[] = {DOVETAIL_EACH_ISA_WITH(DOVETAIL_EACH_FORMAT_OF, DEQUANTIZE_ROW)};

}  // namespace

DOVETAIL_IMPLEMENTS("Dequantize@1#cpu", DequantizeParams, kRows)
