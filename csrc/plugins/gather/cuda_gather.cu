// SPDX-License-Identifier: Apache-2.0
// Gather@1#cuda.
#include "kernels/copy/cuda_indexed_blocks.cuh"
#include "rows.hpp"

using namespace dovetail;

namespace {

template <class Index>
void enqueue(const GatherParams& params, const Run& run) {
  const Tensor x = run.input(0), y = run.output(0);
  move_blocks_on_gpu<Index, false>(run, "gather", gathered_blocks(params, run), run.input(1).data<const Index>(),
                                   x.data<void>(), y.data<void>(), size_of(x.type()));
}

#define GATHER_ROW(name, words, Index) \
  {.tactic = name, .needs = kBuiltSm, .types = words, .enqueue = enqueue<Index>, .traits = kCaptureSafe}
constexpr Row<GatherParams> kRows[] = {
    GATHER_ROW("blocks", kGatherTypes, int32_t),
    GATHER_ROW("blocks_int64", kWideGatherTypes, int64_t),
};

}  // namespace

DOVETAIL_IMPLEMENTS("Gather@1#cuda", GatherParams, kRows)
