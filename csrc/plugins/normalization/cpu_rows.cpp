// SPDX-License-Identifier: Apache-2.0
// Normalization@1#cpu: tactics, best first.
#include "kernels/reduce/strips.hpp"
#include "rows.hpp"

using namespace dovetail;

namespace {

// Scale and bias as float32, where they are not.
uint64_t workspace(const NormalizationParams&, const Descs& inputs, const Descs&, int) {
  uint64_t floats = 0;
  for (const int i : {kScale, kBias}) {
    if (inputs[i].type() != DataType::kFLOAT) floats += static_cast<uint64_t>(inputs[i].max_volume());
  }
  return floats * sizeof(float);
}

const float* as_floats(const Run& run, int input, float** scratch, const float* end) {
  const Tensor t = run.input(input);
  if (t.type() == DataType::kFLOAT) return t.data<const float>();
  const int64_t n = t.volume();
  float* copy = *scratch;
  if (end - copy < n) fail(DT_INTERNAL, "the workspace lacks %lld floats", static_cast<long long>(n));
  *scratch += n;
  for (int64_t i = 0; i < n; ++i) copy[i] = read_float(t.data<void>(), static_cast<int32_t>(t.type()), i);
  return copy;
}

template <void (*kernel)(const NormalizationArgs&, const float*, const float*, int64_t, int64_t)>
void enqueue(const NormalizationParams& params, const Run& run) {
  const NormalizationArgs args = normalization_args(params, run);
  const int64_t volume = run.output(0).volume();
  if (volume == 0) return;
  float* scratch = run.workspace<float>();
  const float* const end = scratch + run.workspace_bytes() / sizeof(float);
  const float* const scale = as_floats(run, kScale, &scratch, end);
  const float* const bias = as_floats(run, kBias, &scratch, end);
  const int64_t items = DT_ISA::strip_items(args.over);
  parallel_ranges(run, items, volume / items * 6, 1,
                  [&](int64_t first, int64_t last) { kernel(args, scale, bias, first, last); });
}

#define NORMALIZATION_ROW(isa, features) \
  {.tactic = "linear_" #isa,             \
   .needs = features,                    \
   .types = kNormalizationTypes,         \
   .formats = "linear",                  \
   .workspace = workspace,               \
   .enqueue = enqueue<isa::normalization>},

constexpr Row<NormalizationParams> kRows[] = {DOVETAIL_EACH_ISA(NORMALIZATION_ROW)};

}  // namespace

DOVETAIL_IMPLEMENTS("Normalization@1#cpu", NormalizationParams, kRows)
