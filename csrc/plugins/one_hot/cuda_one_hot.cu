// SPDX-License-Identifier: Apache-2.0
// OneHot@1#cuda: a thread for each element of y.
#include "dovetail/cuda.hpp"
#include "rows.hpp"

using namespace dovetail;

namespace {

struct Job {
  int64_t total, depth, inner;
  Divider by_inner, by_depth;
};

template <class Index, class T>
__global__ void __launch_bounds__(kBlock)
    one_hot_kernel(const __grid_constant__ Job job, const Index* indices, const T* values, T* y) {
  const T off = values[0], on = values[1];
  for (int64_t at = first_item(); at < job.total; at += item_stride()) {
    int64_t column, place;
    const int64_t outer = job.by_depth.split(job.by_inner.split(at, &column), &place);
    const int64_t index = static_cast<int64_t>(indices[outer * job.inner + column]);
    y[at] = index == place || index == place - job.depth ? on : off;
  }
}

void enqueue(const OneHotParams& params, const Run& run) {
  const Tensor indices = run.input(0), values = run.input(1), y = run.output(0);
  const OneHotExtents extents = one_hot_extents(params, y);
  Job job = {};
  job.total = y.volume();
  if (job.total == 0) return;
  job.depth = extents.depth;
  job.inner = extents.inner;
  job.by_inner = Divider(job.inner, job.total);
  job.by_depth = Divider(job.depth, job.total);
  with_width_of(y.type(), [&](auto t) {
    typedef decltype(t) T;
    const auto start = [&](auto i) {
      typedef decltype(i) Index;
      launch(run, "one_hot", one_hot_kernel<Index, T>, blocks_for(job.total), kBlock, 0, job,
             indices.data<const Index>(), values.data<const T>(), y.data<T>());
    };
    if (indices.type() == DataType::kINT64) return start(int64_t());
    start(int32_t());
  });
}

#define ONE_HOT_ROW(name, types_) \
  {.tactic = name, .needs = kBuiltSm, .types = types_, .formats = "linear", .enqueue = enqueue, .traits = kCaptureSafe},

// clang-format off
constexpr Row<OneHotParams> kRows[] = {
    ONE_HOT_ROW("linear", kTypes32x32)
    ONE_HOT_ROW("depth64", kTypes32x64)
    ONE_HOT_ROW("indices64", kTypes64x32)
    ONE_HOT_ROW("both64", kTypes64x64)
};
// clang-format on

}  // namespace

DOVETAIL_IMPLEMENTS("OneHot@1#cuda", OneHotParams, kRows)
