// SPDX-License-Identifier: Apache-2.0
// SoftMax@1#cpu: tactics, best first.
#include "kernels/reduce/strips.hpp"
#include "rows.hpp"

using namespace dovetail;

namespace {

template <void (*kernel)(const SoftmaxArgs&, int64_t, int64_t)>
void enqueue(const SoftmaxParams& params, const Run& run) {
  const Tensor x = run.input(0), y = run.output(0);
  const SoftmaxArgs args = softmax_args(params, x, y);
  const int64_t volume = y.volume();
  if (volume == 0) return;
  const int64_t items = DT_ISA::strip_items(args.over);
  parallel_ranges(run, items, volume / items * 40, 1, [&](int64_t first, int64_t last) { kernel(args, first, last); });
}

#define SOFTMAX_ROW(isa, features)          \
  {.tactic = "linear_" #isa,                \
   .needs = features,                       \
   .types = "f32|f16|bf16 -> f32|f16|bf16", \
   .formats = "linear",                     \
   .enqueue = enqueue<isa::softmax>},

constexpr Row<SoftmaxParams> kRows[] = {DOVETAIL_EACH_ISA(SOFTMAX_ROW)};

}  // namespace

DOVETAIL_IMPLEMENTS("SoftMax@1#cpu", SoftmaxParams, kRows)
