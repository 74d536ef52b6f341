// SPDX-License-Identifier: Apache-2.0
// The activations: names, numbers and formulas, for every device.
#ifndef DOVETAIL_PLUGINS_ACTIVATION_FORMULAS_HPP
#define DOVETAIL_PLUGINS_ACTIVATION_FORMULAS_HPP

#include <stdint.h>

#include "kernels/spec/enumerations.hpp"

// X(name, expression): the expression is in floats v, alpha and beta and in sigmoid_f, tanh_f, expm1_f, softplus_f,
// abs_f and clamp_nan, which the place of use provides. NaN gives NaN: 0 < v is false for it, so each takes the branch
// that keeps it.
#define DOVETAIL_ACTIVATIONS(X)                                           \
  X(kRelu, v < 0.0f ? 0.0f : v)                                           \
  X(kSigmoid, sigmoid_f(v))                                               \
  X(kTanh, tanh_f(v))                                                     \
  X(kLeakyRelu, v >= 0.0f ? v : alpha * v)                                \
  X(kElu, v >= 0.0f ? v : alpha * expm1_f(v))                             \
  X(kSelu, beta*(v > 0.0f ? v : alpha * expm1_f(v)))                      \
  X(kSoftsign, v / (1.0f + abs_f(v)))                                     \
  X(kSoftplus, alpha* softplus_f(beta* v))                                \
  X(kClip, (v > beta ? beta : v) < alpha ? alpha : (v > beta ? beta : v)) \
  X(kHardSigmoid, clamp_nan(alpha* v + beta, 0.0f, 1.0f))                 \
  X(kScaledTanh, alpha* tanh_f(beta* v))                                  \
  X(kThresholdedRelu, v <= alpha ? 0.0f : v)

enum ActivationKind : int32_t { DOVETAIL_ACTIVATION_TYPE(DOVETAIL_ENUMERATOR, k) };

#endif
