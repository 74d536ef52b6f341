// SPDX-License-Identifier: Apache-2.0
// ai.onnx.ml::TreeEnsemble@1#cpu: rows in blocks, so that a tree is in the cache for all of a block.
#include <algorithm>
#include <cmath>

#include "tree_ensemble.hpp"

using namespace dovetail;

namespace {

constexpr int64_t kBlock = 64;  // rows

struct Trees {
  explicit Trees(const TreeEnsembleParams& p)
      : nodes(p.all<TreeNode>(p.nodes)),
        splits(p.all<float>(p.splits)),
        roots(p.all<int32_t>(p.roots)),
        leaves(p.all<int32_t>(p.leaves)),
        targets(p.all<int32_t>(p.vote_targets)),
        weights(p.all<float>(p.vote_weights)),
        base(p.base_values ? p.all<float>(p.base_values) : nullptr),
        n_trees(p.count(p.roots)),
        n_targets(p.n_targets),
        aggregate(static_cast<Aggregate>(p.aggregate)) {}

  const TreeNode* nodes;
  const float* splits;
  const int32_t *roots, *leaves, *targets;
  const float *weights, *base;
  int64_t n_trees, n_targets;
  Aggregate aggregate;
};

bool goes_to_true(const TreeNode& node, float value, float split) {
  if (node.tracks_true != 0 && std::isnan(value)) return true;
  switch (static_cast<Branch>(node.mode)) {
    case Branch::kLeq:
      return value <= split;
    case Branch::kLess:
      return value < split;
    case Branch::kGeq:
      return value >= split;
    case Branch::kGreater:
      return value > split;
    case Branch::kEqual:
      return value == split;
    default:
      return value != split;
  }
}

int32_t leaf_of(const Trees& trees, int32_t place, const float* x) {
  while (place >= 0) {
    const TreeNode& node = trees.nodes[place];
    place = goes_to_true(node, x[node.feature], trees.splits[place]) ? node.if_true : node.if_false;
  }
  return -1 - place;
}

// NaN stands for no vote yet where votes are not summed.
void take(Aggregate aggregate, double weight, double& total) {
  if (aggregate == Aggregate::kMin) {
    total = weight < total || std::isnan(total) ? weight : total;
  } else if (aggregate == Aggregate::kMax) {
    total = weight > total || std::isnan(total) ? weight : total;
  } else {
    total += weight;
  }
}

// `totals` has room for n rows.
void block_of(const Trees& trees, const float* x, int64_t n_features, int64_t n, double* totals, float* y) {
  const bool is_sum = trees.aggregate == Aggregate::kSum || trees.aggregate == Aggregate::kAverage;
  std::fill(totals, totals + n * trees.n_targets, is_sum ? 0.0 : static_cast<double>(NAN));
  for (int64_t tree = 0; tree < trees.n_trees; ++tree) {
    for (int64_t row = 0; row < n; ++row) {
      const int32_t leaf = leaf_of(trees, trees.roots[tree], x + row * n_features);
      for (int32_t vote = trees.leaves[leaf]; vote < trees.leaves[leaf + 1]; ++vote) {
        const double weight = static_cast<double>(trees.weights[vote]);
        take(trees.aggregate, weight, totals[row * trees.n_targets + trees.targets[vote]]);
      }
    }
  }
  const double divisor =
      trees.aggregate == Aggregate::kAverage ? static_cast<double>(std::max(trees.n_trees, int64_t{1})) : 1.0;
  for (int64_t i = 0; i < n * trees.n_targets; ++i) {
    const double total = is_sum ? totals[i] / divisor : std::isnan(totals[i]) ? 0.0 : totals[i];
    const double base = trees.base ? static_cast<double>(trees.base[i % trees.n_targets]) : 0.0;
    y[i] = static_cast<float>(total + base);
  }
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
  const Trees trees(params);
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
