// SPDX-License-Identifier: Apache-2.0
// How an update meets the element it is for, on every device.
#ifndef DOVETAIL_PLUGINS_SCATTER_COMBINE_HPP
#define DOVETAIL_PLUGINS_SCATTER_COMBINE_HPP

#include <stdint.h>

#include "dovetail/detail/host_device.hpp"
#include "kernels/simd/vec.hpp"
#include "kernels/spec/enumerations.hpp"

enum ScatterReduction : int32_t { DOVETAIL_SCATTER_REDUCTION(DOVETAIL_ENUMERATOR, k) };

namespace DT_ISA {

// A nan stays.
DOVETAIL_HOST_DEVICE inline float combined(int32_t how, float a, float v) {
  switch (how) {
    case kAdd:
      return a + v;
    case kMul:
      return a * v;
    case kMax:
      return a >= v || a != a ? a : v;
    case kMin:
      return a <= v || a != a ? a : v;
    default:
      return v;
  }
}

// Integers; sums and products wrap around.
template <class T>
DOVETAIL_HOST_DEVICE inline T combined_integers(int32_t how, T a, T v) {
  switch (how) {
    case kAdd:
      return static_cast<T>(static_cast<uint64_t>(a) + static_cast<uint64_t>(v));
    case kMul:
      return static_cast<T>(static_cast<uint64_t>(a) * static_cast<uint64_t>(v));
    case kMax:
      return a > v ? a : v;
    case kMin:
      return a < v ? a : v;
    default:
      return v;
  }
}

// Bools: a sum is "or", a product "and".
DOVETAIL_HOST_DEVICE inline uint8_t combined_bools(int32_t how, uint8_t a, uint8_t v) {
  if (how == kNone) return v;
  return how == kAdd || how == kMax ? (a | v) != 0 : a != 0 && v != 0;
}

}  // namespace DT_ISA

#endif
