// SPDX-License-Identifier: Apache-2.0
// ai.onnx.ml::TreeEnsemble@1#cpu: rows in blocks, so that a tree is in the cache for all of a block.
#include <algorithm>

#include "rows.hpp"

using namespace dovetail;

namespace {

constexpr int64_t kBlock = 64;  // rows

Trees trees_of(const TreeEnsembleParams& p) {
  Trees trees = {};
  trees.nodes = p.all<TreeNode>(p.nodes);
  trees.splits = p.all<float>(p.splits);
  trees.roots = p.all<int32_t>(p.roots);
  trees.leaves = p.all<int32_t>(p.leaves);
  trees.targets = p.all<int32_t>(p.vote_targets);
  trees.weights = p.all<float>(p.vote_weights);
  trees.base = p.base_values ? p.all<float>(p.base_values) : nullptr;
  trees.n_trees = p.count(p.roots);
  trees.n_targets = p.n_targets;
  trees.aggregate = static_cast<Aggregate>(p.aggregate);
  return trees;
}

// `totals` has room for n rows.
void block_of(const Trees& trees, const float* x, int64_t n_features, int64_t n, double* totals, float* y) {
  std::fill(totals, totals + n * trees.n_targets, nothing_yet(trees.aggregate));
  for (int64_t tree = 0; tree < trees.n_trees; ++tree) {
    for (int64_t row = 0; row < n; ++row) vote(trees, tree, x + row * n_features, totals + row * trees.n_targets);
  }
  for (int64_t i = 0; i < n * trees.n_targets; ++i) y[i] = result_of(trees, totals[i], i % trees.n_targets);
}

uint64_t block_bytes(const TreeEnsembleParams& params) {
  return static_cast<uint64_t>(params.n_targets) * kBlock * sizeof(double);
}

uint64_t workspace(const TreeEnsembleParams& params, const Descs&, const Descs&, int n_threads) {
  return block_bytes(params) * static_cast<uint64_t>(std::max(n_threads, 1));
}

void enqueue(const TreeEnsembleParams& params, const Run& run) {
  const Tensor x = run.input(0), y = run.output(0);
  const int64_t n_rows = x.extent(0), n_features = x.extent(1);
  if (n_rows == 0) return;
  const uint64_t slot = block_bytes(params);
  const int64_t slots = static_cast<int64_t>(run.workspace_bytes() / slot);
  if (slots < 1) fail(DT_INTERNAL, "the workspace lacks %llu bytes", static_cast<unsigned long long>(slot));
  const Trees trees = trees_of(params);
  const int64_t blocks = (n_rows + kBlock - 1) / kBlock;
  const int64_t pieces = std::min({slots, int64_t{run.n_threads()}, blocks});
  run.parallel_for(pieces, [&](int32_t piece) {
    double* const totals = reinterpret_cast<double*>(run.workspace<char>() + static_cast<uint64_t>(piece) * slot);
    for (int64_t block = blocks * piece / pieces; block < blocks * (piece + 1) / pieces; ++block) {
      const int64_t first = block * kBlock, n = std::min(kBlock, n_rows - first);
      block_of(trees, x.data<float>() + first * n_features, n_features, n, totals,
               y.data<float>() + first * trees.n_targets);
    }
  });
}

constexpr Row<TreeEnsembleParams> kRows[] = {
    {.tactic = "blocks", .types = "f32 -> f32", .formats = "linear", .workspace = workspace, .enqueue = enqueue},
};

}  // namespace

DOVETAIL_IMPLEMENTS("ai.onnx.ml::TreeEnsemble@1#cpu", TreeEnsembleParams, kRows)
