// SPDX-License-Identifier: Apache-2.0
// A step that computes nothing, so that what is left of its time is the executor's.
#include <algorithm>

#include "dovetail/plugin.hpp"

namespace {

constexpr int64_t kWatched = 1000;  // more than the steps of the longest chain, twice

struct Params {
  int64_t number = 0;
};
DOVETAIL_READS(Params, number)

// A build refuses a kernel that leaves its outputs unwritten, so the first runs write them.
void nothing(const Params&, const dovetail::Run& run) {
  static int64_t n_runs = 0;
  if (++n_runs > kWatched) return;
  const dovetail::Tensor y = run.output(0);
  std::fill_n(y.data<float>(), y.volume(), 0.0f);
}

constexpr dovetail::Row<Params> kRows[] = {{.tactic = "nothing", .types = "f32 -> f32", .enqueue = nothing}};

}  // namespace

DOVETAIL_IMPLEMENTS("bench::Nothing@1#quick.native", Params, kRows)
DOVETAIL_LIBRARY("quick", "1", "quick")
