// SPDX-License-Identifier: Apache-2.0
// ai.onnx.ml::PairwiseCoupling@1#cpu: a row at a time on each thread.
#include <algorithm>

#include "rows.hpp"

using namespace dovetail;

namespace {

// A thread's room, in whole lines of the cache.
uint64_t slot_bytes(const PairwiseCouplingParams& params) {
  return (room_of(params.n_classes) * sizeof(double) + 63) / 64 * 64;
}

uint64_t workspace(const PairwiseCouplingParams& params, const Descs&, const Descs&, int n_threads) {
  return slot_bytes(params) * static_cast<uint64_t>(std::max(n_threads, 1));
}

void enqueue(const PairwiseCouplingParams& params, const Run& run) {
  const Tensor x = run.input(0), y = run.output(0);
  const int64_t n_rows = x.extent(0), n_pairs = x.extent(1), k = params.n_classes;
  if (n_rows == 0) return;
  const uint64_t slot = slot_bytes(params);
  const int64_t slots = static_cast<int64_t>(run.workspace_bytes() / slot);
  if (slots < 1) fail(DT_INTERNAL, "the workspace lacks %llu bytes", static_cast<unsigned long long>(slot));
  const int64_t pieces = std::min({slots, int64_t{run.n_threads()}, (n_rows + 15) / 16});
  run.parallel_for(pieces, [&](int32_t piece) {
    double* const room = reinterpret_cast<double*>(run.workspace<char>() + static_cast<uint64_t>(piece) * slot);
    for (int64_t row = n_rows * piece / pieces; row < n_rows * (piece + 1) / pieces; ++row) {
      couple(x.data<float>() + row * n_pairs, k, room, y.data<float>() + row * k);
    }
  });
}

constexpr Row<PairwiseCouplingParams> kRows[] = {
    {.tactic = "rows", .types = "f32 -> f32", .formats = "linear", .workspace = workspace, .enqueue = enqueue},
};

}  // namespace

DOVETAIL_IMPLEMENTS("ai.onnx.ml::PairwiseCoupling@1#cpu", PairwiseCouplingParams, kRows)
