// SPDX-License-Identifier: Apache-2.0
// DynamicQuantize@1#cpu: tactics, best first.
#include <math.h>

#include "dynamic_quantize.hpp"
#include "kernels/quantized/cpu_rows.hpp"

using namespace dovetail;

namespace {

typedef void (*RangeKernel)(const float* x, int64_t n, float* low, float* high);
typedef void (*StepsKernel)(const QuantizedSteps& args, int64_t first, int64_t last);

constexpr int64_t kMostPieces = 256;  // that the range is searched in

template <RangeKernel range_of, StepsKernel steps>
void enqueue(const DynamicQuantizeParams&, const Run& run) {
  const Tensor x = run.input(0);
  const FormatView view = view_of(x);
  const int64_t n = view.stored();  // padding is 0, which the range has anyway
  const float* const values = x.data<const float>();
  float lows[kMostPieces] = {}, highs[kMostPieces] = {};
  const int n_threads = run.n_threads() < kMostPieces ? run.n_threads() : static_cast<int>(kMostPieces);
  const Pieces pieces = cut(n, 1, 64, n_threads);
  run_pieces(run, pieces, [&](int64_t first, int64_t last) {
    const int64_t piece = first / pieces.each;
    range_of(values + first, last - first, &lows[piece], &highs[piece]);
  });
  float low = 0, high = 0;
  for (int64_t piece = 0; piece < pieces.count; ++piece) {
    low = lows[piece] < low ? lows[piece] : low;
    high = highs[piece] > high ? highs[piece] : high;
  }
  const float scale = high > low ? (high - low) / 255.0f : 1.0f;
  const float start = nearbyintf(-low / scale), zero = start < 255.0f ? start : 255.0f;
  *run.output(1).data<float>() = scale;
  *run.output(2).data<uint8_t>() = static_cast<uint8_t>(zero);
  const QuantizedSteps args = {values, run.output(0).data<uint8_t>(), scale, zero, -zero, 255.0f - zero};
  parallel_ranges(run, n, 2, 64, [&](int64_t first, int64_t last) { steps(args, first, last); });
  zero_padding(view, args.y, 1);
}

#define DYNAMIC_QUANTIZE_ROW(isa, features, format)  \
  {.tactic = format "_" #isa,                        \
   .needs = features,                                \
   .types = "f32 -> u8 f32 u8",                      \
   .formats = format " -> " format " linear linear", \
   .enqueue = enqueue<isa::quantized_range, isa::quantized_steps>},

constexpr Row<DynamicQuantizeParams> kRows[] = {DOVETAIL_EACH_ISA_WITH(DOVETAIL_EACH_FORMAT_OF, DYNAMIC_QUANTIZE_ROW)};

}  // namespace

DOVETAIL_IMPLEMENTS("DynamicQuantize@1#cpu", DynamicQuantizeParams, kRows)
