// SPDX-License-Identifier: Apache-2.0
// AffineDequantize@1#cpu: tactics, best first.
#include "kernels/quantized/cpu_rows.hpp"
#include "affine_dequantize.hpp"

using namespace dovetail;

namespace {

typedef AffineDequantizeParams Params;

template <void (*kernel)(const DequantizedSteps&, int64_t, int64_t)>
void enqueue(const Params&, const Run& run) {
  const Tensor x = run.input(Params::kX), y = run.output(0);
  const FormatView view = view_of(y);
  const bool is_signed = x.type() == DataType::kINT8;
  const uint8_t stored = zero_of(run, Params::kZero);
  const DequantizedSteps args = {x.data<const uint8_t>(), y.data<float>(),
                                 *run.input(Params::kScale).data<const float>(),
                                 is_signed ? static_cast<int8_t>(stored) : stored, is_signed};
  parallel_ranges(run, view.stored(), 4, 64, [&](int64_t first, int64_t last) { kernel(args, first, last); });
  zero_padding(view, args.y, 4);
}

#define AFFINE_DEQUANTIZE_ROW(isa, features, format) \
  {.tactic = format "_" #isa,                        \
   .needs = features,                                \
   .types = "i8|u8 f32|f32 i8|u8 -> f32|f32",        \
   .formats = format " linear linear -> " format,    \
   .enqueue = enqueue<isa::dequantized_steps>},

constexpr Row<Params> kRows[] = {DOVETAIL_EACH_ISA_WITH(DOVETAIL_EACH_FORMAT_OF, AFFINE_DEQUANTIZE_ROW)};

}  // namespace

DOVETAIL_IMPLEMENTS("AffineDequantize@1#cpu", Params, kRows)
