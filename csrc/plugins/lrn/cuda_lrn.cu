// SPDX-License-Identifier: Apache-2.0
// LRN@1#cuda: a thread an element; neighbours of a warp read the same channels.
#include "dovetail/cuda.hpp"
#include "rows.hpp"

using namespace dovetail;

namespace {

template <class T>
__global__ void __launch_bounds__(kBlock) lrn(LrnArgs args, Divider by_inner, Divider by_channels, int64_t total) {
  const T* x = static_cast<const T*>(args.x);
  const int64_t half = args.window / 2;
  for (int64_t at = first_item(); at < total; at += item_stride()) {
    int64_t column, c;
    by_channels.split(by_inner.split(at, &column), &c);
    const int64_t first = c < half ? 0 : c - half;
    const int64_t last = c + half < args.channels ? c + half : args.channels - 1;
    float sum = 0.0f;
    for (int64_t near = first; near <= last; ++near) {
      const float v = to_float(x[at + (near - c) * args.inner]);
      sum += v * v;
    }
    static_cast<T*>(args.y)[at] = float_to<T>(to_float(x[at]) * powf(args.k + args.alpha * sum, -args.beta));
  }
}

void enqueue(const LrnParams& params, const Run& run) {
  const Tensor x = run.input(0), y = run.output(0);
  const LrnArgs args = lrn_args(params, x, y);
  const int64_t total = y.volume();
  if (total == 0) return;
  with_float_type(x.type(), [&](auto t) {
    launch(run, "lrn", lrn<decltype(t)>, blocks_for(total), kBlock, 0, args, Divider(args.inner, total),
           Divider(args.channels, total), total);
  });
}

constexpr Row<LrnParams> kRows[] = {
    {.tactic = "linear",
     .needs = kBuiltSm,
     .types = "f32|f16|bf16 -> f32|f16|bf16",
     .formats = "linear",
     .enqueue = enqueue,
     .traits = kCaptureSafe},
};

}  // namespace

DOVETAIL_IMPLEMENTS("LRN@1#cuda", LrnParams, kRows)
