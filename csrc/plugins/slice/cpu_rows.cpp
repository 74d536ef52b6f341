// SPDX-License-Identifier: Apache-2.0
// Slice@1#cpu.
#include "rows.hpp"

using namespace dovetail;

namespace {

int64_t element(const Tensor& t, int i) {
  return t.type() == DataType::kINT64 ? t.data<const int64_t>()[i] : t.data<const int32_t>()[i];
}

uint64_t workspace(const SliceParams& params, const Descs& inputs, const Descs& outputs, int) {
  if (params.mode == kStrictBounds && !inputs.has(kStart) && !inputs.has(kStride)) return 0;
  return static_cast<uint64_t>(windowed::table_size(outputs[0].raw()->max, outputs[0].rank())) * sizeof(int64_t);
}

void enqueue(const SliceParams& params, const Run& run) {
  Window window = window_of(params, run);
  for (int i = 0; i < window.rank; ++i) {
    if (run.has_input(kStart)) window.axes[i].start = element(run.input(kStart), i);
    if (run.has_input(kStride)) window.axes[i].step = element(run.input(kStride), i);
  }
  const void* x = run.input(kSliced).data<void>();
  const Tensor y = run.output(0);
  if (y.volume() == 0) return;
  if (params.mode == kStrictBounds && window_fault(window) == nullptr) {
    return copy_strided(run, strided_copy_of(window), x, y.data<void>());
  }
  const uint64_t needed = static_cast<uint64_t>(windowed::table_size(y.dims(), y.rank())) * sizeof(int64_t);
  if (run.workspace_bytes() < needed) fail(DT_SHAPE, "the workspace is too small for the extents");
  static const uint64_t kZero = 0;
  const void* value = run.has_input(kFillValue) ? run.input(kFillValue).data<void>() : &kZero;
  copy_window(run, window, x, y.data<void>(), value, run.workspace<int64_t>());
}

constexpr Row<SliceParams> kRows[] = {
    {.tactic = "strided", .types = kSliceTypes, .workspace = workspace, .enqueue = enqueue},
};

}  // namespace

DOVETAIL_IMPLEMENTS("Slice@1#cpu", SliceParams, kRows)
