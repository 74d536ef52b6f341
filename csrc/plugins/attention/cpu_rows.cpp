// SPDX-License-Identifier: Apache-2.0
// Attention@1#cpu: tactics, best first.
#include "kernels/layout/format.hpp"
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
  // Items of equal size, and enough of them for all threads.
  AttentionWork work = {kAttentionRows, 0};
  const int64_t wanted = (run.n_threads() + heads - 1) / heads, fair = (all + wanted - 1) / wanted;
  if (fair < work.rows) work.rows = (fair + 11) / 12 * 12;
  if (work.rows > kAttentionRows) work.rows = kAttentionRows;
  work.blocks = (all + work.rows - 1) / work.rows;
  const int64_t items = heads * work.blocks, slot = kernels.floats(kAttentionRows, args.size, args.v_size);
  const int64_t slots = static_cast<int64_t>(run.workspace_bytes() / 4) / slot;
  if (slots < 1) fail(DT_INTERNAL, "the workspace lacks room for %lld floats", static_cast<long long>(slot));
  const double worth = static_cast<double>(all * heads) * static_cast<double>(args.keys) *
                       static_cast<double>(args.size + args.v_size) / 4e5;
  int64_t pieces = worth < run.n_threads() ? static_cast<int64_t>(worth) : run.n_threads();
  for (const int64_t limit : {items, slots}) pieces = pieces > limit ? limit : pieces;
  if (pieces < 1) pieces = 1;
  run.parallel_for(pieces, [&](int32_t piece) {
    kernels.run(args, work, items * piece / pieces, items * (piece + 1) / pieces,
                run.workspace<float>() + piece * slot);
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
