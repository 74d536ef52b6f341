// SPDX-License-Identifier: Apache-2.0
// AffineQuantize@1#cpu: tactics, best first.
#include "kernels/quantized/cpu_rows.hpp"
#include "affine_quantize.hpp"

using namespace dovetail;

namespace {

typedef AffineQuantizeParams Params;

template <void (*kernel)(const QuantizedSteps&, int64_t, int64_t)>
void enqueue(const Params&, const Run& run) {
  const Tensor y = run.output(0);
  const FormatView view = view_of(y);
  const bool is_signed = y.type() == DataType::kINT8;
  const uint8_t stored = zero_of(run, Params::kZero);
  const float zero = static_cast<float>(is_signed ? static_cast<int8_t>(stored) : stored), least = is_signed ? -128 : 0;
  const QuantizedSteps args = {run.input(Params::kX).data<const float>(),
                               y.data<uint8_t>(),
                               *run.input(Params::kScale).data<const float>(),
                               zero,
                               least - zero,
                               least + 255 - zero};
  parallel_ranges(run, view.stored(), 4, 64, [&](int64_t first, int64_t last) { kernel(args, first, last); });
  zero_padding(view, args.y, 1);
}

#define AFFINE_QUANTIZE_ROW(isa, features, format) \
  {.tactic = format "_" #isa,                      \
   .needs = features,                              \
   .types = "f32|f32 f32|f32 i8|u8 -> i8|u8",      \
   .formats = format " linear linear -> " format,  \
   .enqueue = enqueue<isa::quantized_steps>},

constexpr Row<Params> kRows[] = {DOVETAIL_EACH_ISA_WITH(DOVETAIL_EACH_FORMAT_OF, AFFINE_QUANTIZE_ROW)};

}  // namespace

DOVETAIL_IMPLEMENTS("AffineQuantize@1#cpu", Params, kRows)
