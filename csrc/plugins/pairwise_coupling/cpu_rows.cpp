// SPDX-License-Identifier: Apache-2.0
// ai.onnx.ml::PairwiseCoupling@1#cpu: a row at a time on each thread.
#include <algorithm>
#include <cmath>

#include "pairwise_coupling.hpp"

using namespace dovetail;

namespace {

constexpr int kMostRounds = 100;  // as libsvm has it
constexpr double kPrecision = 0.005;

// The matrix whose form p Q p is least, from r(i, j) = x of the pair and r(j, i) = 1 - r(i, j).
void fill(const float* x, int64_t k, double* q) {
  for (int64_t i = 0; i < k; ++i) q[i * k + i] = 0.0;
  int64_t pair = 0;
  for (int64_t i = 0; i < k; ++i) {
    for (int64_t j = i + 1; j < k; ++j, ++pair) {
      const double r = static_cast<double>(x[pair]), rest = 1.0 - r;
      q[i * k + i] += rest * rest;
      q[j * k + j] += r * r;
      q[i * k + j] = q[j * k + i] = -rest * r;
    }
  }
}

// `q` has room for k (k + 2) numbers.
void couple(const float* x, int64_t k, double* q, float* y) {
  double *const p = q + k * k, *const qp = p + k;
  fill(x, k, q);
  std::fill(p, p + k, 1.0 / static_cast<double>(k));
  for (int round = 0; round < kMostRounds; ++round) {
    double pqp = 0.0, error = 0.0;
    for (int64_t i = 0; i < k; ++i) {
      qp[i] = 0.0;
      for (int64_t j = 0; j < k; ++j) qp[i] += q[i * k + j] * p[j];
      pqp += p[i] * qp[i];
    }
    for (int64_t i = 0; i < k; ++i) error = std::max(error, std::fabs(qp[i] - pqp));
    if (error < kPrecision / static_cast<double>(k)) break;
    for (int64_t i = 0; i < k; ++i) {
      const double step = (pqp - qp[i]) / q[i * k + i], sum = 1.0 + step;
      p[i] += step;
      pqp = (pqp + step * (step * q[i * k + i] + 2.0 * qp[i])) / sum / sum;
      for (int64_t j = 0; j < k; ++j) {
        qp[j] = (qp[j] + step * q[i * k + j]) / sum;
        p[j] /= sum;
      }
    }
  }
  for (int64_t i = 0; i < k; ++i) y[i] = static_cast<float>(p[i]);
}

uint64_t slot_bytes(const PairwiseCouplingParams& params) {
  const uint64_t k = static_cast<uint64_t>(params.n_classes);
  return (k * (k + 2) * sizeof(double) + 63) / 64 * 64;
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
