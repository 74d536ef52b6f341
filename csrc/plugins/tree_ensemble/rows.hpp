// SPDX-License-Identifier: Apache-2.0
// What the rows of TreeEnsemble have in common on all devices: the arrays, and a row's way through the trees.
#ifndef DOVETAIL_PLUGINS_TREE_ENSEMBLE_ROWS_HPP
#define DOVETAIL_PLUGINS_TREE_ENSEMBLE_ROWS_HPP

#include <math.h>

#include "dovetail/detail/host_device.hpp"
#include "tree_ensemble.hpp"

struct Trees {
  const TreeNode* nodes;
  const float* splits;
  const int32_t *roots, *leaves, *targets;
  const float *weights, *base;  // base is null where nothing is added
  int64_t n_trees, n_targets;
  Aggregate aggregate;
};

DOVETAIL_HOST_DEVICE inline bool goes_to_true(const TreeNode& node, float value, float split) {
  if (node.tracks_true != 0 && value != value) return true;
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

DOVETAIL_HOST_DEVICE inline int32_t leaf_of(const Trees& trees, int32_t place, const float* x) {
  while (place >= 0) {
    const TreeNode& node = trees.nodes[place];
    place = goes_to_true(node, x[node.feature], trees.splits[place]) ? node.if_true : node.if_false;
  }
  return -1 - place;
}

// The total of a target before any vote: NaN where votes are not summed.
DOVETAIL_HOST_DEVICE inline double nothing_yet(Aggregate aggregate) {
  return aggregate == Aggregate::kMin || aggregate == Aggregate::kMax ? static_cast<double>(NAN) : 0.0;
}

DOVETAIL_HOST_DEVICE inline void take(Aggregate aggregate, double weight, double& total) {
  if (aggregate == Aggregate::kMin) {
    total = weight < total || total != total ? weight : total;
  } else if (aggregate == Aggregate::kMax) {
    total = weight > total || total != total ? weight : total;
  } else {
    total += weight;
  }
}

// Adds the votes of one tree to the totals of a row.
DOVETAIL_HOST_DEVICE inline void vote(const Trees& trees, int64_t tree, const float* x, double* totals) {
  const int32_t leaf = leaf_of(trees, trees.roots[tree], x);
  for (int32_t i = trees.leaves[leaf]; i < trees.leaves[leaf + 1]; ++i) {
    take(trees.aggregate, static_cast<double>(trees.weights[i]), totals[trees.targets[i]]);
  }
}

DOVETAIL_HOST_DEVICE inline float result_of(const Trees& trees, double total, int64_t target) {
  if (trees.aggregate == Aggregate::kAverage && trees.n_trees > 0) total /= static_cast<double>(trees.n_trees);
  const double base = trees.base ? static_cast<double>(trees.base[target]) : 0.0;
  return static_cast<float>((total != total && nothing_yet(trees.aggregate) != 0.0 ? 0.0 : total) + base);
}

#endif
