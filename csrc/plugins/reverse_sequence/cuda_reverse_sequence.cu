// SPDX-License-Identifier: Apache-2.0
// ReverseSequence@1#cuda: a thread for each element of y.
#include "dovetail/cuda.hpp"
#include "rows.hpp"

using namespace dovetail;

namespace {

struct Job {
  Sequences s;
  int64_t total;
  int32_t lengths_are_64;
  Divider by_inner, by_second, by_middle, by_first;
};

template <class T>
__global__ void __launch_bounds__(kBlock)
    reverse(const __grid_constant__ Job job, const T* x, const void* lengths, T* y) {
  const Sequences& s = job.s;
  for (int64_t at = first_item(); at < job.total; at += item_stride()) {
    int64_t inner, a, b, middle;
    const int64_t row = job.by_second.split(job.by_inner.split(at, &inner), &b);
    job.by_first.split(job.by_middle.split(row, &middle), &a);
    const int64_t number = s.batch_is_first ? a : b, t = s.batch_is_first ? b : a;
    const int64_t wanted = job.lengths_are_64 ? static_cast<const int64_t*>(lengths)[number]
                                              : static_cast<const int32_t*>(lengths)[number];
    y[at] = x[at + reversed_by(t, wanted, s.length()) * s.step()];
  }
}

void enqueue(const ReverseSequenceParams& params, const Run& run) {
  const Tensor x = run.input(0), lengths = run.input(1), y = run.output(0);
  Job job = {};
  job.total = x.volume();
  if (job.total == 0) return;
  job.s = sequences_of(params, x);
  job.lengths_are_64 = lengths.type() == DataType::kINT64;
  job.by_inner = Divider(job.s.inner, job.total);
  job.by_second = Divider(job.s.second, job.total);
  job.by_middle = Divider(job.s.middle, job.total);
  job.by_first = Divider(job.s.first, job.total);
  with_width_of(y.type(), [&](auto t) {
    typedef decltype(t) T;
    launch(run, "reverse", reverse<T>, blocks_for(job.total), kBlock, 0, job, x.data<const T>(), lengths.data<void>(),
           y.data<T>());
  });
}

#define REVERSE_ROW(name, types_) \
  {.tactic = name, .needs = kBuiltSm, .types = types_, .formats = "linear", .enqueue = enqueue, .traits = kCaptureSafe},

// clang-format off
constexpr Row<ReverseSequenceParams> kRows[] = {
    REVERSE_ROW("linear", kReversedTypes)
    REVERSE_ROW("linear_int64", kWideReversedTypes)
};
// clang-format on

}  // namespace

DOVETAIL_IMPLEMENTS("ReverseSequence@1#cuda", ReverseSequenceParams, kRows)
