// SPDX-License-Identifier: Apache-2.0
// TopK@1#cpu.
#include "cpu_kernels.hpp"
#include "rows.hpp"

using namespace dovetail;

namespace {

constexpr int64_t kEntryBytes = 16;

// A thread's heap, in whole lines of the cache.
int64_t slot_bytes(int64_t k) { return (k * kEntryBytes + 63) / 64 * 64; }

uint64_t workspace(const TopkParams& params, const Descs&, const Descs& outputs, int n_threads) {
  return static_cast<uint64_t>((n_threads > 0 ? n_threads : 1) * slot_bytes(outputs[0].max_extent(params.axis())));
}

void enqueue(const TopkParams& params, const Run& run) {
  const TopkArgs args = topk_args(params, run);
  const int64_t rows = args.outer * args.inner;
  if (rows * args.k == 0) return;
  const int64_t slot = slot_bytes(args.k);
  int64_t threads = static_cast<int64_t>(run.workspace_bytes()) / slot;
  if (threads < 1) fail(DT_INTERNAL, "the workspace lacks %lld bytes", static_cast<long long>(slot));
  if (threads > run.n_threads()) threads = run.n_threads();
  const int64_t worth = rows * (args.count + 16 * args.k) / 10000 + 1;  // some microseconds a piece
  const int64_t pieces = threads < worth ? threads : worth, each = (rows + pieces - 1) / pieces;
  run.parallel_for(pieces, [&](int32_t piece) {
    const int64_t first = piece * each, last = first + each < rows ? first + each : rows;
    if (first < last) scalar::topk(args, first, last, run.workspace<char>() + piece * slot);
  });
}

#define NUMBERS "f32|f16|bf16|i32|i64"
#define TOPK_ROW(k)                              \
  {.tactic = "heap",                             \
   .types = NUMBERS " " k " -> " NUMBERS " i32", \
   .formats = "linear",                          \
   .fits = fits_topk,                            \
   .workspace = workspace,                       \
   .enqueue = enqueue}

constexpr Row<TopkParams> kRows[] = {TOPK_ROW("i32"), TOPK_ROW("i64")};

}  // namespace

DOVETAIL_IMPLEMENTS("TopK@1#cpu", TopkParams, kRows)
