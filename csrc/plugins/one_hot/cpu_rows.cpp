// SPDX-License-Identifier: Apache-2.0
// OneHot@1#cpu: tactics, best first.
#include "cpu_kernels.hpp"
#include "kernels/layout/format.hpp"
#include "rows.hpp"

using namespace dovetail;

namespace {

template <void (*kernel)(const OneHotArgs&, int64_t, int64_t)>
void enqueue(const OneHotParams& params, const Run& run) {
  const Tensor indices = run.input(0), values = run.input(1), y = run.output(0);
  if (y.volume() == 0) return;
  const OneHotExtents extents = one_hot_extents(params, y);
  const OneHotArgs args = {
      indices.data<void>(), values.data<void>(), y.data<void>(), indices.type() == DataType::kINT64,
      size_of(y.type()),    extents.depth,       extents.inner};
  parallel_ranges(run, extents.outer * extents.depth, 4 * extents.inner, 64,
                  [&](int64_t first, int64_t last) { kernel(args, first, last); });
}

#define ONE_HOT_ROW(isa, features, name, types_) \
  {.tactic = name #isa, .needs = features, .types = types_, .formats = "linear", .enqueue = enqueue<isa::one_hot>},
#define ONE_HOT_ROWS(isa, features)                     \
  ONE_HOT_ROW(isa, features, "", kTypes32x32)           \
  ONE_HOT_ROW(isa, features, "depth64_", kTypes32x64)   \
  ONE_HOT_ROW(isa, features, "indices64_", kTypes64x32) \
  ONE_HOT_ROW(isa, features, "both64_", kTypes64x64)

constexpr Row<OneHotParams> kRows[] = {DOVETAIL_EACH_ISA(ONE_HOT_ROWS)};

}  // namespace

DOVETAIL_IMPLEMENTS("OneHot@1#cpu", OneHotParams, kRows)
