// SPDX-License-Identifier: Apache-2.0
// Constant@1#cpu: a copy, for constants that no pass has turned into weights.
#include "rows.hpp"

using namespace dovetail;

namespace {

void enqueue(const ConstantParams& params, const Run& run) {
  const Tensor y = run.output(0);
  const Values values = values_of(params);
  std::memcpy(y.data<void>(), values.data, static_cast<size_t>(values.n * size_of(y.type())));
}

constexpr Row<ConstantParams> kRows[] = {
    {.tactic = "copy", .types = kConstantTypes, .formats = "-> linear", .enqueue = enqueue},
};

}  // namespace

DOVETAIL_IMPLEMENTS("Constant@1#cpu", ConstantParams, kRows)
