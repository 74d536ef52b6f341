// SPDX-License-Identifier: Apache-2.0
// RaggedSoftMax@1#cpu: tactics, best first.
#include "cpu_kernels.hpp"
#include "rows.hpp"

using namespace dovetail;

namespace {

template <void (*kernel)(const RaggedSoftMaxArgs&, int64_t, int64_t)>
void enqueue(const RaggedSoftMaxParams&, const Run& run) {
  const Tensor x = run.input(0), bounds = run.input(1);
  if (x.volume() == 0) return;
  RaggedSoftMaxArgs args = {};
  args.x = x.data<void>();
  args.bounds = bounds.data<void>();
  args.y = run.output(0).data<void>();
  args.size = x.extent(-1);
  args.type = static_cast<int32_t>(x.type());
  args.bounds_type = static_cast<int32_t>(bounds.type());
  parallel_ranges(run, x.volume() / args.size, 16 * static_cast<double>(args.size), 1,
                  [&](int64_t first, int64_t last) { kernel(args, first, last); });
}

#define RAGGED_ROW(isa, features) \
  {.tactic = "linear_" #isa,      \
   .needs = features,             \
   .types = kTypes,               \
   .formats = "linear",           \
   .enqueue = enqueue<isa::ragged_softmax>},

constexpr Row<RaggedSoftMaxParams> kRows[] = {DOVETAIL_EACH_ISA(RAGGED_ROW)};

}  // namespace

DOVETAIL_IMPLEMENTS("RaggedSoftMax@1#cpu", RaggedSoftMaxParams, kRows)
