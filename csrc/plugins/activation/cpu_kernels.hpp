// SPDX-License-Identifier: Apache-2.0
// What the rows hand to the kernels of Activation.
#ifndef DOVETAIL_PLUGINS_ACTIVATION_CPU_KERNELS_HPP
#define DOVETAIL_PLUGINS_ACTIVATION_CPU_KERNELS_HPP

#include <stdint.h>

// TensorRT's ActivationType.
enum ActivationKind : int32_t {
  kRelu = 0,
  kSigmoid = 1,
  kTanh = 2,
  kLeakyRelu = 3,        // x >= 0 ? x : alpha x
  kElu = 4,              // x >= 0 ? x : alpha (e^x - 1)
  kSelu = 5,             // x > 0 ? beta x : beta (alpha e^x - alpha)
  kSoftsign = 6,         // x / (1 + |x|)
  kSoftplus = 7,         // alpha ln(e^(beta x) + 1)
  kClip = 8,             // max(alpha, min(beta, x))
  kHardSigmoid = 9,      // max(0, min(1, alpha x + beta))
  kScaledTanh = 10,      // alpha tanh(beta x)
  kThresholdedRelu = 11  // x > alpha ? x : 0
};

struct ActivationArgs {
  const void* x;
  void* y;
  int32_t type;  // of both: DT_TYPE_FLOAT, HALF or BF16
  int32_t kind;
  float alpha, beta;
};

// Elements [first, last) in the order of storage.
namespace avx512 {
void activation(const ActivationArgs& args, int64_t first, int64_t last);
}
namespace avx2 {
void activation(const ActivationArgs& args, int64_t first, int64_t last);
}
namespace scalar {
void activation(const ActivationArgs& args, int64_t first, int64_t last);
}

#endif
