// SPDX-License-Identifier: Apache-2.0
// y[n, t] = the votes for target t of the leaves that row n of x reaches, one in each tree, plus base_values[t].
//   inputs   x [rows, features], linear
//   outputs  y [rows, n_targets], linear
//   children a node's are nodes behind it, or leaves as -1 - leaf: a walk that only goes on cannot turn in a circle
#ifndef DOVETAIL_PLUGINS_TREE_ENSEMBLE_TREE_ENSEMBLE_HPP
#define DOVETAIL_PLUGINS_TREE_ENSEMBLE_TREE_ENSEMBLE_HPP

#include "dovetail/plugin.hpp"
#include "kernels/spec/enumerations.hpp"

enum class Branch : int32_t { kLeq, kLess, kGeq, kGreater, kEqual, kUnequal };
enum class Aggregate : int32_t { DOVETAIL_TREE_AGGREGATE(DOVETAIL_ENUMERATOR, k) };

// A row of `nodes`: the branch taken is that of (x[feature] mode split), or the true one of NaN with tracks_true.
struct TreeNode {
  int32_t feature, mode, tracks_true, if_true, if_false;
};

struct TreeEnsembleParams {
  int64_t n_targets = 1;
  int32_t aggregate = 0;
  const dt_tensor* nodes = nullptr;         // int32 [nodes, 5]
  const dt_tensor* splits = nullptr;        // float32 [nodes]
  const dt_tensor* roots = nullptr;         // int32 [trees]
  const dt_tensor* leaves = nullptr;        // int32 [leaves + 1]: where the votes of each begin, and their end
  const dt_tensor* vote_targets = nullptr;  // int32 [votes]
  const dt_tensor* vote_weights = nullptr;  // float32 [votes]
  const dt_tensor* base_values = nullptr;   // float32 [n_targets]; 0 where it is absent

  void check_fields() const {
    dovetail::expect_field("n_targets", n_targets, 1, 65536);
    dovetail::expect_field("aggregate", aggregate, 0, 3);
    const int64_t n_nodes = length("splits", splits, dovetail::DataType::kFLOAT);
    if (length("nodes", nodes, dovetail::DataType::kINT32) != n_nodes * 5) {
      dovetail::fail(DT_INVALID_ARGUMENT, "field 'nodes' is not [%lld, 5], as many as 'splits'",
                     static_cast<long long>(n_nodes));
    }
    const int64_t n_votes = length("vote_weights", vote_weights, dovetail::DataType::kFLOAT);
    if (length("vote_targets", vote_targets, dovetail::DataType::kINT32) != n_votes) {
      dovetail::fail(DT_INVALID_ARGUMENT, "fields 'vote_targets' and 'vote_weights' are not of one length");
    }
    const int64_t n_leaves = length("leaves", leaves, dovetail::DataType::kINT32) - 1;
    check_votes(n_leaves, n_votes);
    check_nodes(n_nodes, n_leaves);
    if (base_values && length("base_values", base_values, dovetail::DataType::kFLOAT) != n_targets) {
      dovetail::fail(DT_INVALID_ARGUMENT, "field 'base_values' has not one value for each of %lld targets",
                     static_cast<long long>(n_targets));
    }
  }

  void check_shapes(const dovetail::Shapes& inputs, const dovetail::Shapes& outputs) const {
    const dovetail::Shape x = inputs.get(0, "x"), y = outputs.get(0, "y");
    if (x.rank() != 2) dovetail::fail(DT_SHAPE, "x has %d axes, not rows and features", x.rank());
    const int64_t wanted[] = {x[0], n_targets};
    expect_dims(y, wanted, 2);
    const TreeNode* const node = all<TreeNode>(nodes);
    for (int64_t i = 0, n = count(splits); i < n; ++i) {
      if (node[i].feature >= x[1]) {
        dovetail::fail(DT_SHAPE, "node %lld asks for feature %d, x has %lld", static_cast<long long>(i),
                       node[i].feature, static_cast<long long>(x[1]));
      }
    }
  }

  template <class T>
  static const T* all(const dt_tensor* field) {
    return reinterpret_cast<const T*>(static_cast<const char*>(field->data) + field->byte_offset);
  }
  static int64_t count(const dt_tensor* field) { return dovetail::detail::volume(field->shape, field->ndim); }

 private:
  static int64_t length(const char* name, const dt_tensor* field, dovetail::DataType type) {
    if (field == nullptr) dovetail::fail(DT_INVALID_ARGUMENT, "field '%s' is missing", name);
    if (dovetail::Tensor(field).type() != type) {
      dovetail::fail(DT_INVALID_ARGUMENT, "field '%s' is of another type", name);
    }
    return count(field);
  }

  void check_votes(int64_t n_leaves, int64_t n_votes) const {
    const int32_t *const begin = all<int32_t>(leaves), *const target = all<int32_t>(vote_targets);
    if (n_leaves < 0 || begin[0] != 0 || begin[n_leaves] != n_votes) {
      dovetail::fail(DT_INVALID_ARGUMENT, "field 'leaves' does not begin at 0 and end at %lld votes",
                     static_cast<long long>(n_votes));
    }
    for (int64_t i = 0; i < n_leaves; ++i) {
      if (begin[i] > begin[i + 1]) {
        dovetail::fail(DT_INVALID_ARGUMENT, "the votes of leaf %lld end before they begin", static_cast<long long>(i));
      }
    }
    for (int64_t i = 0; i < n_votes; ++i) {
      if (target[i] < 0 || target[i] >= n_targets) {
        dovetail::fail(DT_INVALID_ARGUMENT, "vote %lld is for target %d of %lld", static_cast<long long>(i), target[i],
                       static_cast<long long>(n_targets));
      }
    }
  }

  void check_nodes(int64_t n_nodes, int64_t n_leaves) const {
    const int64_t n_roots = length("roots", roots, dovetail::DataType::kINT32);
    const TreeNode* const node = all<TreeNode>(nodes);
    const int32_t* const root = all<int32_t>(roots);
    for (int64_t i = 0; i < n_roots; ++i) {
      check_place("root", i, root[i], 0, n_nodes, n_leaves);
    }
    for (int64_t i = 0; i < n_nodes; ++i) {
      if (node[i].feature < 0 || node[i].mode < 0 || node[i].mode > 5) {
        dovetail::fail(DT_INVALID_ARGUMENT, "node %lld has feature %d and mode %d", static_cast<long long>(i),
                       node[i].feature, node[i].mode);
      }
      check_place("a child of node", i, node[i].if_true, i + 1, n_nodes, n_leaves);
      check_place("a child of node", i, node[i].if_false, i + 1, n_nodes, n_leaves);
    }
  }

  static void check_place(const char* what, int64_t i, int64_t place, int64_t first, int64_t n_nodes,
                          int64_t n_leaves) {
    if (place >= 0 ? place >= first && place < n_nodes : -1 - place < n_leaves) return;
    dovetail::fail(DT_INVALID_ARGUMENT, "%s %lld is %lld: neither a node from %lld to %lld nor one of %lld leaves",
                   what, static_cast<long long>(i), static_cast<long long>(place), static_cast<long long>(first),
                   static_cast<long long>(n_nodes - 1), static_cast<long long>(n_leaves));
  }
};
DOVETAIL_READS(TreeEnsembleParams, n_targets, aggregate, nodes, splits, roots, leaves, vote_targets, vote_weights,
               base_values)

#endif
