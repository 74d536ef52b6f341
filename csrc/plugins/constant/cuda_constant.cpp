// SPDX-License-Identifier: Apache-2.0
// Constant@1#cuda: a copy, for constants that no pass has turned into weights. The values are packed constants of the
// plan, so that they lie on the device already.
#include "dovetail/cuda.hpp"
#include "rows.hpp"

using namespace dovetail;

namespace {

void prepare(const ConstantParams& params, const Descs&, const Descs& outputs, const Emit& emit) {
  const Values values = values_of(params);
  emit(values.data, static_cast<uint64_t>(values.n * size_of(outputs[0].type())));
}

void enqueue(const ConstantParams&, const Run& run) {
  const Tensor y = run.output(0);
  const uint64_t bytes = static_cast<uint64_t>(y.volume() * size_of(y.type()));
  if (bytes == 0) return;
  if (run.packed_bytes() < bytes) {
    fail(DT_SHAPE, "%llu bytes of values for %llu", static_cast<unsigned long long>(run.packed_bytes()),
         static_cast<unsigned long long>(bytes));
  }
  check_cuda(cudaMemcpyAsync(y.data<void>(), run.packed(), bytes, cudaMemcpyDeviceToDevice, stream_of(run)),
             "cudaMemcpyAsync of %llu bytes", static_cast<unsigned long long>(bytes));
}

constexpr Row<ConstantParams> kRows[] = {
    {.tactic = "copy",
     .needs = kBuiltSm,
     .types = kConstantTypes,
     .formats = "-> linear",
     .prepare = prepare,
     .enqueue = enqueue,
     .traits = kCaptureSafe},
};

}  // namespace

DOVETAIL_IMPLEMENTS("Constant@1#cuda", ConstantParams, kRows)
