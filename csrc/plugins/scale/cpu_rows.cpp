// SPDX-License-Identifier: Apache-2.0
// Scale@1#cpu: tactics, best first.
#include "cpu_kernels.hpp"
#include "rows.hpp"

using namespace dovetail;

namespace {

uint64_t workspace(const ScaleParams& params, const Descs& inputs, const Descs&, int) {
  const ParameterLayout layout = layout_of(params, inputs[kX]);
  return parameter_bytes(layout, inputs, kScale) + parameter_bytes(layout, inputs, kShift) +
         parameter_bytes(layout, inputs, kPower);
}

template <void (*kernel)(const ScaleArgs&, int64_t, int64_t)>
void enqueue(const ScaleParams& params, const Run& run) {
  const Tensor x = run.input(kX), y = run.output(0);
  const ParameterLayout layout = layout_of(params, static_cast<int32_t>(x.format()), x.dims(), x.rank());
  const int64_t n = layout.view.stored();
  if (n == 0) return;
  float* scratch = run.workspace<float>();
  ScaleArgs args = {};
  args.x = x.data<void>();
  args.y = y.data<void>();
  args.type = static_cast<int32_t>(x.type());
  args.scale = parameters(run, kScale, layout, 1.0f, &scratch);
  args.shift = parameters(run, kShift, layout, 0.0f, &scratch);
  args.power = parameters(run, kPower, layout, 1.0f, &scratch);
  args.groups = layout.groups;
  args.inner = layout.inner;
  args.lanes = layout.lanes;
  parallel_ranges(run, n, args.power ? 40 : 8, 64, [&](int64_t first, int64_t last) { kernel(args, first, last); });
  zero_padding(layout.view, args.y, size_of(y.type()));
}

#define SCALE_ROW(isa, features, format)                 \
  {.tactic = format "_" #isa,                            \
   .needs = features,                                    \
   .types = kScaleTypes,                                 \
   .formats = format " linear linear linear -> " format, \
   .fits = fits_scale,                                   \
   .workspace = workspace,                               \
   .enqueue = enqueue<isa::scale>,                       \
   .traits = kInPlace},

constexpr Row<ScaleParams> kRows[] = {DOVETAIL_EACH_ISA_WITH(DOVETAIL_EACH_FORMAT_OF, SCALE_ROW)};

}  // namespace

DOVETAIL_IMPLEMENTS("Scale@1#cpu", ScaleParams, kRows)
