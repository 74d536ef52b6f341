// SPDX-License-Identifier: Apache-2.0
// BitCast@1#cuda: a copy, or nothing at all in place.
#include "bit_cast.hpp"
#include "dovetail/cuda.hpp"

using namespace dovetail;

namespace {

void enqueue(const BitCastParams&, const Run& run) {
  const Tensor x = run.input(0), y = run.output(0);
  const size_t bytes = static_cast<size_t>(y.volume() * size_of(y.type()));
  if (bytes == 0 || x.data<void>() == y.data<void>()) return;
  check_cuda(cudaMemcpyAsync(y.data<void>(), x.data<void>(), bytes, cudaMemcpyDeviceToDevice, stream_of(run)),
             "cudaMemcpyAsync of %llu bytes", static_cast<unsigned long long>(bytes));
}

constexpr Row<BitCastParams> kRows[] = {
    {.tactic = "copy",
     .types = kBitCastTypes,
     .formats = "linear",
     .enqueue = enqueue,
     .traits = kCaptureSafe | kInPlace},
};

}  // namespace

DOVETAIL_IMPLEMENTS("BitCast@1#cuda", BitCastParams, kRows)
