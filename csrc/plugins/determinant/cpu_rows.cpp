// SPDX-License-Identifier: Apache-2.0
// Determinant@1#cpu: a matrix at a time on each thread.
#include <algorithm>

#include "kernels/simd/convert.hpp"
#include "rows.hpp"

using namespace dovetail;

namespace {

// A thread's matrix, in whole lines of the cache.
uint64_t slot_bytes(int64_t n) { return matrix_bytes(n) / 64 * 64 + 64; }

double determinant(double* a, int64_t n) {
  PivotProduct product;
  for (int64_t k = 0; k < n; ++k) {
    int64_t row = k;
    for (int64_t i = k + 1; i < n; ++i) {
      if (goes_before(fabs(a[i * n + k]), fabs(a[row * n + k]))) row = i;
    }
    double* const top = a + k * n;
    const double pivot = a[row * n + k];
    if (pivot == 0.0) return 0.0;
    product.take(row == k ? pivot : -pivot);
    if (row != k) std::swap_ranges(top + k, top + n, a + row * n + k);
    for (int64_t i = k + 1; i < n; ++i) {
      double* const below = a + i * n;
      const double factor = below[k] / pivot;
#pragma GCC ivdep
      for (int64_t j = k + 1; j < n; ++j) below[j] -= factor * top[j];
    }
  }
  return product.value();
}

uint64_t workspace(const DeterminantParams&, const Descs& inputs, const Descs&, int n_threads) {
  return slot_bytes(inputs[0].max_extent(-1)) * static_cast<uint64_t>(n_threads > 0 ? n_threads : 1);
}

void enqueue(const DeterminantParams&, const Run& run) {
  const Tensor x = run.input(0), y = run.output(0);
  const int64_t matrices = y.volume(), n = x.extent(-1);
  if (matrices == 0) return;
  const int64_t size = n * n;
  const uint64_t slot = slot_bytes(n);
  int64_t pieces = static_cast<int64_t>(run.workspace_bytes() / slot);
  if (pieces < 1) fail(DT_INTERNAL, "the workspace lacks %llu bytes", static_cast<unsigned long long>(slot));
  // As many as are worth some microseconds each.
  const double worth = static_cast<double>(matrices) * static_cast<double>(size) * static_cast<double>(n + 8) / 20000;
  pieces =
      std::min({pieces, int64_t{run.n_threads()}, matrices, worth < 1e9 ? static_cast<int64_t>(worth) + 1 : matrices});
  const int32_t type = static_cast<int32_t>(x.type());
  run.parallel_for(pieces, [&](int32_t piece) {
    double* const a = reinterpret_cast<double*>(run.workspace<char>() + static_cast<uint64_t>(piece) * slot);
    const int64_t each = matrices / pieces, more = matrices % pieces;
    const int64_t first = piece * each + std::min(int64_t{piece}, more), last = first + each + (piece < more);
    for (int64_t matrix = first; matrix < last; ++matrix) {
      bool has_nan = false;
      for (int64_t i = 0; i < size; ++i) {
        a[i] = DT_ISA::read_float(x.data<void>(), type, matrix * size + i);
        has_nan |= a[i] != a[i];
      }
      const float result = has_nan ? NAN : static_cast<float>(determinant(a, n));
      DT_ISA::store_floats(&result, y.data<void>(), type, matrix, 1);
    }
  });
}

constexpr Row<DeterminantParams> kRows[] = {
    {.tactic = "linear", .types = kDeterminantTypes, .formats = "linear", .workspace = workspace, .enqueue = enqueue},
};

}  // namespace

DOVETAIL_IMPLEMENTS("Determinant@1#cpu", DeterminantParams, kRows)
