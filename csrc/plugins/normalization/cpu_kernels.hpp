// SPDX-License-Identifier: Apache-2.0
// What the rows hand to the kernels of Normalization.
#ifndef DOVETAIL_PLUGINS_NORMALIZATION_CPU_KERNELS_HPP
#define DOVETAIL_PLUGINS_NORMALIZATION_CPU_KERNELS_HPP

#include "dovetail/detail/isa.hpp"
#include "kernels/reduce/reduction.hpp"

struct NormalizationArgs {
  const void* x;
  void* y;
  int32_t type;    // of both
  Reduction over;  // `other` are steps of scale and bias
  float epsilon;
  bool is_centered;  // false: the mean is taken for 0
};

// Items [first, last), of strip_items.
DOVETAIL_KERNELS(void normalization(const NormalizationArgs& args, const float* scale, const float* bias, int64_t first,
                                    int64_t last);)

#endif
