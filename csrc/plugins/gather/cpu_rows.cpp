// SPDX-License-Identifier: Apache-2.0
// Gather@1#cpu.
#include "rows.hpp"

using namespace dovetail;

namespace {

template <class Index, int bytes>
void gather_elements(const IndexedBlocks& blocks, const Run& run) {
  typedef strided::Loose<bytes> T;
  const T* x = run.input(0).data<const T>();
  const Index* indices = run.input(1).data<const Index>();
  T* y = run.output(0).data<T>();
  parallel_ranges(run, blocks.rows.volume(), 8 * bytes, 64, [&](int64_t first, int64_t last) {
    for_blocks(blocks, indices, first, last, [&](int64_t place, int64_t r) { y[r] = place < 0 ? T(0) : T(x[place]); });
  });
}

template <class Index>
void gather_blocks(const IndexedBlocks& blocks, const Run& run, int64_t bytes) {
  const char* x = run.input(0).data<const char>();
  const Index* indices = run.input(1).data<const Index>();
  char* y = run.output(0).data<char>();
  const int64_t n_bytes = blocks.block * bytes;
  parallel_ranges(run, blocks.rows.volume(), n_bytes, 1, [&](int64_t first, int64_t last) {
    for_blocks(blocks, indices, first, last, [&](int64_t place, int64_t r) {
      if (place < 0) {
        std::memset(y + r * n_bytes, 0, static_cast<size_t>(n_bytes));
      } else {
        std::memcpy(y + r * n_bytes, x + place * bytes, static_cast<size_t>(n_bytes));
      }
    });
  });
}

template <class Index>
void enqueue(const GatherParams& params, const Run& run) {
  const IndexedBlocks blocks = gathered_blocks(params, run);
  if (run.output(0).volume() == 0) return;
  const int64_t bytes = size_of(run.output(0).type());
  if (blocks.block > 1) return gather_blocks<Index>(blocks, run, bytes);
  if (bytes == 1) return gather_elements<Index, 1>(blocks, run);
  if (bytes == 2) return gather_elements<Index, 2>(blocks, run);
  if (bytes == 4) return gather_elements<Index, 4>(blocks, run);
  gather_elements<Index, 8>(blocks, run);
}

constexpr Row<GatherParams> kRows[] = {
    {.tactic = "blocks", .types = kGatherTypes, .enqueue = enqueue<int32_t>},
    {.tactic = "blocks_int64", .types = kWideGatherTypes, .enqueue = enqueue<int64_t>},
};

}  // namespace

DOVETAIL_IMPLEMENTS("Gather@1#cpu", GatherParams, kRows)
