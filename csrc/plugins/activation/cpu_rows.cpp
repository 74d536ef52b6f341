// SPDX-License-Identifier: Apache-2.0
// Activation@1#cpu: tactics, best first.
#include "activation.hpp"
#include "cpu_kernels.hpp"
#include "kernels/layout/format.hpp"

using namespace dovetail;

namespace {

// Operations an element, for cutting the work among threads.
int64_t cost(int32_t kind) {
  const bool is_exponential =
      kind == kSigmoid || kind == kTanh || kind == kElu || kind == kSelu || kind == kSoftplus || kind == kScaledTanh;
  return is_exponential ? 32 : 8;
}

template <void (*kernel)(const ActivationArgs&, int64_t, int64_t)>
void enqueue(const ActivationParams& params, const Run& run) {
  const Tensor x = run.input(0), y = run.output(0);
  const FormatView view = view_of(x);
  const ActivationArgs args = {x.data<void>(),
                               y.data<void>(),
                               static_cast<int32_t>(x.type()),
                               params.type,
                               static_cast<float>(params.alpha),
                               static_cast<float>(params.beta)};
  parallel_ranges(run, view.stored(), cost(params.type), 64,
                  [&](int64_t first, int64_t last) { kernel(args, first, last); });
  zero_padding(view, args.y, size_of(y.type()));
}

#define ACTIVATION_ROW(isa, features, format) \
  {.tactic = format "_" #isa,                 \
   .needs = features,                         \
   .types = "f32|f16|bf16 -> f32|f16|bf16",   \
   .formats = format " -> " format,           \
   .enqueue = enqueue<isa::activation>,       \
   .traits = kInPlace},

constexpr Row<ActivationParams> kRows[] = {DOVETAIL_EACH_ISA_WITH(DOVETAIL_EACH_FORMAT_OF, ACTIVATION_ROW)};

}  // namespace

DOVETAIL_IMPLEMENTS("Activation@1#cpu", ActivationParams, kRows)
