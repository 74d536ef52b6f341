// SPDX-License-Identifier: Apache-2.0
// Dequantize@1#cpu: tactics, best first.
#include "cpu_kernels.hpp"
#include "dequantize.hpp"
#include "dovetail/per_channel.hpp"

using namespace dovetail;

namespace {

enum { kX, kScale };

// One scale for the tensor, or one for each extent of the axis.
ParameterLayout layout_of(const DequantizeParams& params, int32_t format, const int64_t* dims, int rank,
                          int64_t n_scales) {
  if (n_scales == 1) return one_parameter(format, dims, rank);
  return parameter_per_channel(format, dims, rank, checked_axis(params.axis, rank));
}

ParameterLayout layout_of(const DequantizeParams& params, const Descs& inputs) {
  const Desc x = inputs[kX];
  return layout_of(params, static_cast<int32_t>(x.format()), x.max(), x.rank(), inputs[kScale].max_volume());
}

uint64_t workspace(const DequantizeParams& params, const Descs& inputs, const Descs&, int) {
  return parameter_bytes(layout_of(params, inputs), inputs, kScale);
}

const char* fits(const DequantizeParams& params, const Descs& inputs, const Descs&) {
  layout_of(params, inputs);  // throws the reason
  return nullptr;
}

template <void (*kernel)(const DequantizeArgs&, int64_t, int64_t)>
void enqueue(const DequantizeParams& params, const Run& run) {
  const Tensor x = run.input(kX), y = run.output(0);
  const ParameterLayout layout =
      layout_of(params, static_cast<int32_t>(x.format()), x.dims(), x.rank(), run.input(kScale).volume());
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
   .types = kTypes,                           \
   .formats = format " linear -> " format,    \
   .fits = fits,                              \
   .workspace = workspace,                    \
   .enqueue = enqueue<isa::dequantize>},

// The scales are float32 or of the floats' type.
constexpr char kTypes[] = "i8|i8|i8|i8|i8 f32|f16|bf16|f32|f32 -> f32|f16|bf16|f16|bf16";

// clang-format off
constexpr Row<DequantizeParams> kRows[] = {
#if defined(__x86_64__)
    DOVETAIL_EACH_FORMAT(DEQUANTIZE_ROW, avx512, kAvx512)
    DOVETAIL_EACH_FORMAT(DEQUANTIZE_ROW, avx2, kAvx2)
#endif
    DOVETAIL_EACH_FORMAT(DEQUANTIZE_ROW, scalar, 0)
};
// clang-format on

}  // namespace

DOVETAIL_IMPLEMENTS("Dequantize@1#cpu", DequantizeParams, kRows)
