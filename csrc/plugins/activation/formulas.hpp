// SPDX-License-Identifier: Apache-2.0
// The activations: names, numbers and formulas, for every device.
#ifndef DOVETAIL_PLUGINS_ACTIVATION_FORMULAS_HPP
#define DOVETAIL_PLUGINS_ACTIVATION_FORMULAS_HPP

#include <stdint.h>

// X(name, value, expression): value is that of TensorRT's ActivationType; the expression is in floats v, alpha and beta
// and in sigmoid_f, tanh_f, expm1_f, softplus_f, abs_f and clamp_nan, which the place of use provides. NaN gives NaN:
// 0 < v is false for it, so each takes the branch that keeps it.
#define DOVETAIL_ACTIVATIONS(X)                                              \
  X(kRelu, 0, v < 0.0f ? 0.0f : v)                                           \
  X(kSigmoid, 1, sigmoid_f(v))                                               \
  X(kTanh, 2, tanh_f(v))                                                     \
  X(kLeakyRelu, 3, v >= 0.0f ? v : alpha * v)                                \
  X(kElu, 4, v >= 0.0f ? v : alpha * expm1_f(v))                             \
  X(kSelu, 5, beta*(v > 0.0f ? v : alpha * expm1_f(v)))                      \
  X(kSoftsign, 6, v / (1.0f + abs_f(v)))                                     \
  X(kSoftplus, 7, alpha* softplus_f(beta* v))                                \
  X(kClip, 8, (v > beta ? beta : v) < alpha ? alpha : (v > beta ? beta : v)) \
  X(kHardSigmoid, 9, clamp_nan(alpha* v + beta, 0.0f, 1.0f))                 \
  X(kScaledTanh, 10, alpha* tanh_f(beta* v))                                 \
  X(kThresholdedRelu, 11, v <= alpha ? 0.0f : v)

#define DT_ACTIVATION_ENTRY(name, value, expression) name = value,
enum ActivationKind : int32_t { DOVETAIL_ACTIVATIONS(DT_ACTIVATION_ENTRY) };
#undef DT_ACTIVATION_ENTRY

#endif
