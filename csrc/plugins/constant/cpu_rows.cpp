// SPDX-License-Identifier: Apache-2.0
// Constant@1#cpu: a copy, for constants that no pass has turned into weights.
#include "constant.hpp"
#include "dovetail/format.hpp"

using namespace dovetail;

namespace {

void enqueue(const ConstantParams& params, const Run& run) {
  const Tensor y = run.output(0);
  if (params.weights == nullptr) fail(DT_INVALID_ARGUMENT, "weights are missing");
  const int64_t given = detail::volume(params.weights->shape, params.weights->ndim);
  if (given != y.volume()) {
    fail(DT_SHAPE, "%lld values for %lld elements", static_cast<long long>(given), static_cast<long long>(y.volume()));
  }
  const char* from = static_cast<const char*>(params.weights->data) + params.weights->byte_offset;
  std::memcpy(y.data<void>(), from, static_cast<size_t>(given * size_of(y.type())));
}

constexpr Row<ConstantParams> kRows[] = {
    {.tactic = "copy", .types = "-> f32|f16|bf16|i8|u8|b8|f8|i32|i64", .formats = "-> linear", .enqueue = enqueue},
};

}  // namespace

DOVETAIL_IMPLEMENTS("Constant@1#cpu", ConstantParams, kRows)
