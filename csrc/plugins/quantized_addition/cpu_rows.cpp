// SPDX-License-Identifier: Apache-2.0
// QuantizedAddition@1#cpu: tactics, best first.
#include "kernels/quantized/cpu_rows.hpp"
#include "quantized_addition.hpp"

using namespace dovetail;

namespace {

typedef QuantizedAdditionParams Params;

template <void (*kernel)(const QuantizedAddition&, int64_t, int64_t)>
void enqueue(const Params& params, const Run& run) {
  const Tensor a = run.input(0), b = run.input(1), y = run.output(0);
  const FormatView view = view_of(y);
  const QuantizedLimits limits = limits_of(y.type(), {params.low, params.high});
  QuantizedAddition args = {};
  args.a = a.data<const uint8_t>();
  args.b = b.data<const uint8_t>();
  args.y = y.data<uint8_t>();
  args.a_is_signed = a.type() == DataType::kINT8;
  args.b_is_signed = b.type() == DataType::kINT8;
  args.a_factor = static_cast<float>(params.a_factor);
  args.b_factor = static_cast<float>(params.b_factor);
  args.offset = static_cast<float>(
      -(static_cast<double>(params.a_zero) * params.a_factor + static_cast<double>(params.b_zero) * params.b_factor));
  args.zero = static_cast<float>(params.y_zero);
  args.low = static_cast<float>(limits.low - params.y_zero);
  args.high = static_cast<float>(limits.high - params.y_zero);
  parallel_ranges(run, view.stored(), 3, 64, [&](int64_t first, int64_t last) { kernel(args, first, last); });
  zero_padding(view, args.y, 1);
}

#define QUANTIZED_ADDITION_ROW(isa, features, format)                                     \
  {.tactic = format "_" #isa,                                                             \
   .needs = features,                                                                     \
   .types = "i8|i8|i8|i8|u8|u8|u8|u8 i8|i8|u8|u8|i8|i8|u8|u8 -> i8|u8|i8|u8|i8|u8|i8|u8", \
   .formats = format,                                                                     \
   .enqueue = enqueue<isa::quantized_addition>},

constexpr Row<Params> kRows[] = {DOVETAIL_EACH_ISA_WITH(DOVETAIL_EACH_FORMAT_OF, QUANTIZED_ADDITION_ROW)};

}  // namespace

DOVETAIL_IMPLEMENTS("QuantizedAddition@1#cpu", Params, kRows)
