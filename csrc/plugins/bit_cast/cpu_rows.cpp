// SPDX-License-Identifier: Apache-2.0
// BitCast@1#cpu: a copy, or nothing at all in place.
#include "bit_cast.hpp"
#include "kernels/layout/format.hpp"

using namespace dovetail;

namespace {

void enqueue(const BitCastParams&, const Run& run) {
  const Tensor x = run.input(0), y = run.output(0);
  const char* const from = x.data<char>();
  char* const to = y.data<char>();
  if (from == to) return;
  const int64_t bytes = y.volume() * size_of(y.type());
  parallel_ranges(run, bytes, 1, 64, [&](int64_t first, int64_t last) {
    std::memcpy(to + first, from + first, static_cast<size_t>(last - first));
  });
}

constexpr Row<BitCastParams> kRows[] = {
    {.tactic = "copy", .types = kBitCastTypes, .formats = "linear", .enqueue = enqueue, .traits = kInPlace},
};

}  // namespace

DOVETAIL_IMPLEMENTS("BitCast@1#cpu", BitCastParams, kRows)
