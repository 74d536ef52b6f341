// SPDX-License-Identifier: Apache-2.0
// Attention@1#cpu: tactics, best first.
#include "kernels/layout/shares.hpp"
#include "rows.hpp"

using namespace dovetail;

namespace {

struct Kernels {
  decltype(&scalar::attention_floats) floats;
  decltype(&scalar::attention) run;
};

template <const Kernels& kernels>
uint64_t workspace(const AttentionParams& params, const Descs& inputs, const Descs&, int n_threads) {
  const Desc q = inputs[kQuery], v = inputs[kValue];
  const int64_t size = AttentionParams::view("query", q.max(), q.rank(), params.num_heads).size;
  const int64_t v_size = AttentionParams::view("value", v.max(), v.rank(), params.num_kv_heads).size;
  return static_cast<uint64_t>((n_threads > 0 ? n_threads : 1) * kernels.floats(kAttentionRows, size, v_size)) * 4;
}

template <const Kernels& kernels>
void enqueue(const AttentionParams& params, const Run& run) {
  const AttentionArgs args = attention_args(params, run);
  const int64_t all = args.queries * args.group(), heads = args.batch * args.kv_heads;
  if (run.output(0).volume() == 0) return;
  // What a step takes, in products: a key or value that arrives from memory takes as long as some of them.
  constexpr double kWorthThread = 4e5, kFetch = 16;
  const double read =
      static_cast<double>(heads) * static_cast<double>(args.keys) * static_cast<double>(args.size + args.v_size);
  const double worth = read * (static_cast<double>(all) + kFetch) / kWorthThread;
  const int64_t slot = kernels.floats(kAttentionRows, args.size, args.v_size);
  const int64_t slots = static_cast<int64_t>(run.workspace_bytes() / 4) / slot;
  if (slots < 1) fail(DT_INTERNAL, "the workspace lacks room for %lld floats", static_cast<long long>(slot));
  int64_t pieces = worth < run.n_threads() ? static_cast<int64_t>(worth) : run.n_threads();
  if (pieces > slots) pieces = slots;
  if (pieces < 1) pieces = 1;
  // Items of equal size, and several for each thread; keys are packed for each, so they are not small.
  constexpr int64_t kLeast = 56;
  int64_t blocks = pieces > 1 ? (4 * pieces + heads - 1) / heads : 1;
  const int64_t most = (all + kLeast - 1) / kLeast, least = (all + kAttentionRows - 1) / kAttentionRows;
  if (blocks > most) blocks = most;
  if (blocks < least) blocks = least;
  AttentionWork work = {(all + blocks - 1) / blocks, 0};
  work.blocks = (all + work.rows - 1) / work.rows;
  const int64_t items = heads * work.blocks;
  if (pieces > items) pieces = items;
  const Pieces parts = {items, (items + pieces - 1) / pieces, static_cast<int32_t>(pieces)};
  run_shares(run, parts, 1, [&](int32_t piece, int64_t first, int64_t last) {
    kernels.run(args, work, first, last, run.workspace<float>() + piece * slot);
  });
}

#define ATTENTION_ROW(isa, features)   \
  {.tactic = "blocks_" #isa,           \
   .needs = features,                  \
   .types = kAttentionTypes,           \
   .formats = "linear",                \
   .workspace = workspace<isa##_here>, \
   .enqueue = enqueue<isa##_here>},

#define KERNELS(isa, features) constexpr Kernels isa##_here = {isa::attention_floats, isa::attention};
DOVETAIL_EACH_ISA(KERNELS)

constexpr Row<AttentionParams> kRows[] = {DOVETAIL_EACH_ISA(ATTENTION_ROW)};

}  // namespace

DOVETAIL_IMPLEMENTS("Attention@1#cpu", AttentionParams, kRows)
