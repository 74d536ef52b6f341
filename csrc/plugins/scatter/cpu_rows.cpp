// SPDX-License-Identifier: Apache-2.0
// Scatter@1#cpu: a copy of x, then block after block. Threads share blocks by their columns, so that of several updates
// of one element the last one holds, and those that are combined are so in order.
#include "cpu_kernels.hpp"
#include "rows.hpp"

using namespace dovetail;

namespace {

template <class Index>
void enqueue(const ScatterParams& params, const Run& run) {
  const IndexedBlocks blocks = scattered_blocks(params, run);
  const Tensor x = run.input(0), updates = run.input(2);
  char* y = run.output(0).data<char>();
  const char* source = updates.data<const char>();
  const Index* indices = run.input(1).data<const Index>();
  const int64_t bytes = size_of(x.type()), n_rows = blocks.rows.volume();
  if (x.data<void>() != y) copy_strided(run, whole_copy(x), x.data<void>(), y);
  if (n_rows == 0) return;
  const double work = static_cast<double>(n_rows) * static_cast<double>(bytes);
  parallel_ranges(run, blocks.block, work, 64, [&](int64_t first, int64_t last) {
    const size_t n_bytes = static_cast<size_t>((last - first) * bytes);
    for_blocks(blocks, indices, 0, n_rows, [&](int64_t place, int64_t r) {
      if (place < 0) return;
      const char* update = source + (r * blocks.block + first) * bytes;
      char* element = y + (place + first) * bytes;
      if (params.reduction == kNone) {
        std::memcpy(element, update, n_bytes);
      } else {
        scalar::combine(static_cast<int32_t>(x.type()), params.reduction, update, element, last - first);
      }
    });
  });
}

constexpr Row<ScatterParams> kRows[] = {
    {.tactic = "blocks", .types = kScatterTypes, .enqueue = enqueue<int32_t>},
    {.tactic = "blocks_int64", .types = kWideScatterTypes, .enqueue = enqueue<int64_t>},
};

}  // namespace

DOVETAIL_IMPLEMENTS("Scatter@1#cpu", ScatterParams, kRows)
