// SPDX-License-Identifier: Apache-2.0
// Scale@1#cpu: tactics, best first.
#include "cpu_kernels.hpp"
#include "dovetail/per_channel.hpp"
#include "scale.hpp"

using namespace dovetail;

namespace {

enum { kX, kScale, kShift, kPower };

ParameterLayout layout_of(const ScaleParams& params, int32_t format, const int64_t* dims, int rank) {
  if (params.mode == kScaleUniform) return one_parameter(format, dims, rank);
  const int axis = checked_axis(params.channel_axis, rank);
  return (params.mode == kScaleChannel ? parameter_per_channel : parameter_per_element)(format, dims, rank, axis);
}

ParameterLayout layout_of(const ScaleParams& params, const Desc& x) {
  return layout_of(params, static_cast<int32_t>(x.format()), x.max(), x.rank());
}

uint64_t workspace(const ScaleParams& params, const Descs& inputs, const Descs&, int) {
  const ParameterLayout layout = layout_of(params, inputs[kX]);
  return parameter_bytes(layout, inputs, kScale) + parameter_bytes(layout, inputs, kShift) +
         parameter_bytes(layout, inputs, kPower);
}

const char* fits(const ScaleParams& params, const Descs& inputs, const Descs&) {
  layout_of(params, inputs[kX]);  // throws the reason
  return nullptr;
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

#define PARAMETER "f32|f16|bf16|f32|f32"
constexpr char kTypes[] = "f32|f16|bf16|f16|bf16 " PARAMETER " " PARAMETER " " PARAMETER " -> f32|f16|bf16|f16|bf16";

#define SCALE_ROW(isa, features, format)                 \
  {.tactic = format "_" #isa,                            \
   .needs = features,                                    \
   .types = kTypes,                                      \
   .formats = format " linear linear linear -> " format, \
   .fits = fits,                                         \
   .workspace = workspace,                               \
   .enqueue = enqueue<isa::scale>,                       \
   .traits = kInPlace},

// clang-format off
constexpr Row<ScaleParams> kRows[] = {
#if defined(__x86_64__)
    DOVETAIL_EACH_FORMAT(SCALE_ROW, avx512, kAvx512)
    DOVETAIL_EACH_FORMAT(SCALE_ROW, avx2, kAvx2)
#endif
    DOVETAIL_EACH_FORMAT(SCALE_ROW, scalar, 0)
};
// clang-format on

}  // namespace

DOVETAIL_IMPLEMENTS("Scale@1#cpu", ScaleParams, kRows)
