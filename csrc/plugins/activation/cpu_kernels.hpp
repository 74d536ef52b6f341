// SPDX-License-Identifier: Apache-2.0
// What the rows hand to the kernels of Activation.
#ifndef DOVETAIL_PLUGINS_ACTIVATION_CPU_KERNELS_HPP
#define DOVETAIL_PLUGINS_ACTIVATION_CPU_KERNELS_HPP

#include "dovetail/detail/isa.hpp"
#include "formulas.hpp"

struct ActivationArgs {
  const void* x;
  void* y;
  int32_t type;  // of both: DT_TYPE_FLOAT, HALF or BF16
  int32_t kind;
  float alpha, beta;
};

// Elements [first, last) in the order of storage.
DOVETAIL_KERNELS(void activation(const ActivationArgs& args, int64_t first, int64_t last);)

#endif
