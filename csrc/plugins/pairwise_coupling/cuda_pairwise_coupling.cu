// SPDX-License-Identifier: Apache-2.0
// ai.onnx.ml::PairwiseCoupling@1#cuda: a row at a time on each of some thousand threads, which have room
// in the workspace.
#include "dovetail/cuda.hpp"
#include "rows.hpp"

using namespace dovetail;

namespace {

constexpr int64_t kThreads = 32 * kBlock;
constexpr uint64_t kMostBytes = uint64_t{1} << 28;  // of the workspace: with many classes fewer threads work

__global__ void __launch_bounds__(kBlock) pairwise_coupling(const float* x, int64_t n_rows, int64_t n_classes,
                                                            int64_t n_threads, int64_t room, double* rooms, float* y) {
  const int64_t n_pairs = n_classes * (n_classes - 1) / 2, thread = first_item();
  if (thread >= n_threads) return;
  for (int64_t row = thread; row < n_rows; row += n_threads) {
    couple(x + row * n_pairs, n_classes, rooms + thread * room, y + row * n_classes);
  }
}

// Threads that have room.
int64_t threads_for(const PairwiseCouplingParams& params, int64_t n_rows) {
  const int64_t fitting = static_cast<int64_t>(kMostBytes / (room_of(params.n_classes) * sizeof(double)));
  const int64_t most = fitting < kThreads ? fitting : kThreads;  // 31 for the greatest number of classes
  return n_rows < most ? n_rows : most;
}

uint64_t workspace(const PairwiseCouplingParams& params, const Descs& inputs, const Descs&, int) {
  return static_cast<uint64_t>(threads_for(params, inputs[0].max_extent(0))) * room_of(params.n_classes) *
         sizeof(double);
}

void enqueue(const PairwiseCouplingParams& params, const Run& run) {
  const Tensor x = run.input(0), y = run.output(0);
  const int64_t n_rows = x.extent(0), threads = threads_for(params, n_rows);
  if (n_rows == 0) return;
  const uint64_t room = room_of(params.n_classes), needed = static_cast<uint64_t>(threads) * room * sizeof(double);
  if (run.workspace_bytes() < needed) {
    fail(DT_INTERNAL, "the workspace lacks %llu bytes", static_cast<unsigned long long>(needed));
  }
  launch(run, "pairwise_coupling", pairwise_coupling, blocks_for(threads), kBlock, 0, x.data<const float>(), n_rows,
         params.n_classes, threads, static_cast<int64_t>(room), run.workspace<double>(), y.data<float>());
}

constexpr Row<PairwiseCouplingParams> kRows[] = {
    {.tactic = "rows",
     .needs = kBuiltSm,
     .types = "f32 -> f32",
     .formats = "linear",
     .workspace = workspace,
     .enqueue = enqueue,
     .traits = kCaptureSafe},
};

}  // namespace

DOVETAIL_IMPLEMENTS("ai.onnx.ml::PairwiseCoupling@1#cuda", PairwiseCouplingParams, kRows)
