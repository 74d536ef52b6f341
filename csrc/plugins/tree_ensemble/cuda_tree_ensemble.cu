// SPDX-License-Identifier: Apache-2.0
// ai.onnx.ml::TreeEnsemble@1#cuda: a thread for each row. The arrays are packed constants of the plan, one behind the
// other, all of elements of four bytes, so that they lie on the device already.
#include "dovetail/cuda.hpp"
#include "rows.hpp"

using namespace dovetail;

namespace {

__global__ void __launch_bounds__(kBlock)
    tree_ensemble(const __grid_constant__ Trees trees, const float* x, int64_t n_rows, int64_t n_features,
                  double* all_totals, float* y) {
  for (int64_t row = first_item(); row < n_rows; row += item_stride()) {
    double own;
    double* const totals = trees.n_targets == 1 ? &own : all_totals + row * trees.n_targets;
    for (int64_t target = 0; target < trees.n_targets; ++target) totals[target] = nothing_yet(trees.aggregate);
    for (int64_t tree = 0; tree < trees.n_trees; ++tree) vote(trees, tree, x + row * n_features, totals);
    for (int64_t target = 0; target < trees.n_targets; ++target) {
      y[row * trees.n_targets + target] = result_of(trees, totals[target], target);
    }
  }
}

// The arrays in the order in which they are packed; the last may be absent.
constexpr int kArrays = 7;
struct Arrays {
  const dt_tensor* of[kArrays];
  explicit Arrays(const TreeEnsembleParams& p)
      : of{p.nodes, p.splits, p.roots, p.leaves, p.vote_targets, p.vote_weights, p.base_values} {}
  uint64_t bytes(int i) const {
    return of[i] ? static_cast<uint64_t>(TreeEnsembleParams::count(of[i])) * sizeof(int32_t) : 0;
  }
};

void prepare(const TreeEnsembleParams& params, const Descs&, const Descs&, const Emit& emit) {
  const Arrays arrays(params);
  for (int i = 0; i < kArrays; ++i) {
    if (arrays.bytes(i) > 0) emit(TreeEnsembleParams::all<char>(arrays.of[i]), arrays.bytes(i));
  }
}

// The trees where they lie on the device. Throws if the plan does not hold all of them.
Trees trees_of(const TreeEnsembleParams& params, const Run& run) {
  const Arrays arrays(params);
  const char* at[kArrays];
  uint64_t end = 0;
  for (int i = 0; i < kArrays; ++i) {
    at[i] = run.packed<char>() + end;
    end += arrays.bytes(i);
  }
  if (run.packed_bytes() < end) {
    fail(DT_SHAPE, "%llu bytes of trees for %llu", static_cast<unsigned long long>(run.packed_bytes()),
         static_cast<unsigned long long>(end));
  }
  Trees trees = {};
  trees.nodes = reinterpret_cast<const TreeNode*>(at[0]);
  trees.splits = reinterpret_cast<const float*>(at[1]);
  trees.roots = reinterpret_cast<const int32_t*>(at[2]);
  trees.leaves = reinterpret_cast<const int32_t*>(at[3]);
  trees.targets = reinterpret_cast<const int32_t*>(at[4]);
  trees.weights = reinterpret_cast<const float*>(at[5]);
  trees.base = params.base_values ? reinterpret_cast<const float*>(at[6]) : nullptr;
  trees.n_trees = TreeEnsembleParams::count(params.roots);
  trees.n_targets = params.n_targets;
  trees.aggregate = static_cast<Aggregate>(params.aggregate);
  return trees;
}

uint64_t workspace(const TreeEnsembleParams& params, const Descs& inputs, const Descs&, int) {
  if (params.n_targets == 1) return 0;
  return static_cast<uint64_t>(inputs[0].max_extent(0)) * static_cast<uint64_t>(params.n_targets) * sizeof(double);
}

void enqueue(const TreeEnsembleParams& params, const Run& run) {
  const Tensor x = run.input(0), y = run.output(0);
  const int64_t n_rows = x.extent(0);
  if (n_rows == 0) return;
  const uint64_t needed =
      params.n_targets == 1 ? 0
                            : static_cast<uint64_t>(n_rows) * static_cast<uint64_t>(params.n_targets) * sizeof(double);
  if (run.workspace_bytes() < needed) {
    fail(DT_INTERNAL, "the workspace lacks %llu bytes", static_cast<unsigned long long>(needed));
  }
  launch(run, "tree_ensemble", tree_ensemble, blocks_for(n_rows), kBlock, 0, trees_of(params, run),
         x.data<const float>(), n_rows, x.extent(1), run.workspace<double>(), y.data<float>());
}

constexpr Row<TreeEnsembleParams> kRows[] = {
    {.tactic = "rows",
     .needs = kBuiltSm,
     .types = "f32 -> f32",
     .formats = "linear",
     .prepare = prepare,
     .workspace = workspace,
     .enqueue = enqueue,
     .traits = kCaptureSafe},
};

}  // namespace

DOVETAIL_IMPLEMENTS("ai.onnx.ml::TreeEnsemble@1#cuda", TreeEnsembleParams, kRows)
