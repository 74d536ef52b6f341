// SPDX-License-Identifier: Apache-2.0
// Scatter@1#cuda: a copy of x, then all blocks at once.
#include "dovetail/cuda/indexed_blocks.cuh"
#include "rows.hpp"

using namespace dovetail;

namespace {

template <class Index>
void enqueue(const ScatterParams& params, const Run& run) {
  const IndexedBlocks blocks = scattered_blocks(params, run);
  const Tensor x = run.input(0);
  void* y = run.output(0).data<void>();
  if (x.data<void>() != y) copy_strided_on_gpu(run, whole_copy(x), x.data<void>(), y);
  move_blocks_on_gpu<Index, true>(run, "scatter", blocks, run.input(1).data<const Index>(), run.input(2).data<void>(),
                                  y, size_of(x.type()));
}

#define SCATTER_ROW(name, words, Index) \
  {.tactic = name,                      \
   .needs = kBuiltSm,                   \
   .types = words,                      \
   .fits = fits_scatter,                \
   .enqueue = enqueue<Index>,           \
   .traits = kCaptureSafe}
constexpr Row<ScatterParams> kRows[] = {
    SCATTER_ROW("blocks", kScatterTypes, int32_t),
    SCATTER_ROW("blocks_int64", kWideScatterTypes, int64_t),
};

}  // namespace

DOVETAIL_IMPLEMENTS("Scatter@1#cuda", ScatterParams, kRows)
