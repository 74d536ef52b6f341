// SPDX-License-Identifier: Apache-2.0
// Concatenation@1#cuda: one copy for each input.
#include "kernels/copy/blocked_dims.hpp"
#include "kernels/copy/cuda_copies.hpp"
#include "rows.hpp"

using namespace dovetail;

namespace {

const char* fits_channels_last(const ConcatenationParams&, const Descs& inputs, const Descs&) {
  for (int i = 0; i < inputs.size(); ++i) {
    if (const char* const reason = fits_whole_blocks(inputs[i])) return reason;
  }
  return nullptr;
}

// Distances of neighbours on each axis of a dense tensor whose channels lie innermost.
struct ChannelsLast {
  int64_t step[DT_MAX_RANK];
  explicit ChannelsLast(const Tensor& t) {
    const int channels = t.rank() - traits_of(static_cast<int32_t>(t.format())).spatial - 1;
    step[channels] = 1;
    int64_t distance = t.extent(channels);
    for (int i = t.rank() - 1; i >= 0; --i) {
      if (i == channels) continue;
      step[i] = distance;
      distance *= t.extent(i);
    }
  }
};

template <class StepsOf>
void copy_parts(const ConcatenationParams& params, const Run& run, const StepsOf& steps_of) {
  void* const y = run.output(0).data<void>();
  for_parts(params, run, steps_of,
            [&](const StridedCopy& part, const void* x) { copy_strided_on_gpu(run, part, x, y); });
}

void enqueue(const ConcatenationParams& params, const Run& run) { copy_parts(params, run, row_major); }
void enqueue_channels_last(const ConcatenationParams& params, const Run& run) {
  copy_parts(params, run, [](const Tensor& t) { return ChannelsLast(t); });
}

#define CHANNELS_LAST_ROW(format)      \
  {.tactic = format,                   \
   .needs = kBuiltSm,                  \
   .types = kConcatenationTypes,       \
   .formats = format "... -> " format, \
   .fits = fits_channels_last,         \
   .enqueue = enqueue_channels_last,   \
   .traits = kCaptureSafe}

constexpr Row<ConcatenationParams> kRows[] = {
    {.tactic = "strided",
     .needs = kBuiltSm,
     .types = kConcatenationTypes,
     .formats = "linear... -> linear",
     .enqueue = enqueue,
     .traits = kCaptureSafe},
    CHANNELS_LAST_ROW("hwc8"),
    CHANNELS_LAST_ROW("dhwc8"),
};

}  // namespace

DOVETAIL_IMPLEMENTS("Concatenation@1#cuda", ConcatenationParams, kRows)
