// SPDX-License-Identifier: Apache-2.0
// Slice@1#cuda. Start and stride given as tensors lie on the device, where the kernel reads them.
#include "kernels/copy/cuda_copies.hpp"
#include "rows.hpp"

using namespace dovetail;

namespace {

void enqueue(const SliceParams& params, const Run& run) {
  const Window window = window_of(params, run);
  const void* x = run.input(kSliced).data<void>();
  void* y = run.output(0).data<void>();
  if (run.output(0).volume() == 0) return;
  DeviceInts starts, steps;
  if (run.has_input(kStart)) starts = DeviceInts(run.input(kStart));
  if (run.has_input(kStride)) steps = DeviceInts(run.input(kStride));
  const bool is_given = starts.data || steps.data;
  if (!is_given && params.mode == kStrictBounds) return copy_strided_on_gpu(run, strided_copy_of(window), x, y);
  static const uint64_t kZero = 0;
  const void* value = run.has_input(kFillValue) ? run.input(kFillValue).data<void>() : nullptr;
  copy_window_on_gpu(run, window, x, y, &kZero, value, starts, steps);
}

constexpr Row<SliceParams> kRows[] = {
    {.tactic = "strided", .needs = kBuiltSm, .types = kSliceTypes, .enqueue = enqueue, .traits = kCaptureSafe},
};

}  // namespace

DOVETAIL_IMPLEMENTS("Slice@1#cuda", SliceParams, kRows)
