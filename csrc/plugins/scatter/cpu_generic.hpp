// SPDX-License-Identifier: Apache-2.0
// Updates that are combined with the elements they meet.
// Instruction sets: scalar.
#ifndef DOVETAIL_PLUGINS_SCATTER_CPU_GENERIC_HPP
#define DOVETAIL_PLUGINS_SCATTER_CPU_GENERIC_HPP

#include "combine.hpp"
#include "cpu_kernels.hpp"
#include "dovetail/plugin.h"
#include "kernels/simd/convert.hpp"

namespace DT_ISA {
namespace {

template <class T, class Combine>
void each(const void* updates, void* y, int64_t n, const Combine& combine) {
  const T* v = static_cast<const T*>(updates);
  T* a = static_cast<T*>(y);
  for (int64_t i = 0; i < n; ++i) a[i] = combine(a[i], v[i]);
}

template <class T>
void each_integer(int32_t how, const void* updates, void* y, int64_t n) {
  each<T>(updates, y, n, [how](T a, T v) { return combined_integers(how, a, v); });
}

}  // namespace

void combine(int32_t type, int32_t how, const void* updates, void* y, int64_t n) {
  switch (type) {
    case DT_TYPE_FLOAT:
      return each<float>(updates, y, n, [how](float a, float v) { return combined(how, a, v); });
    case DT_TYPE_HALF:
      return each<uint16_t>(updates, y, n, [how](uint16_t a, uint16_t v) {
        return float_to_half(combined(how, half_to_float(a), half_to_float(v)));
      });
    case DT_TYPE_BF16:
      return each<uint16_t>(updates, y, n, [how](uint16_t a, uint16_t v) {
        return float_to_bf16(combined(how, bf16_to_float(a), bf16_to_float(v)));
      });
    case DT_TYPE_INT8:
      return each_integer<int8_t>(how, updates, y, n);
    case DT_TYPE_UINT8:
      return each_integer<uint8_t>(how, updates, y, n);
    case DT_TYPE_INT32:
      return each_integer<int32_t>(how, updates, y, n);
    case DT_TYPE_INT64:
      return each_integer<int64_t>(how, updates, y, n);
    default:
      return each<uint8_t>(updates, y, n, [how](uint8_t a, uint8_t v) { return combined_bools(how, a, v); });
  }
}

}  // namespace DT_ISA

#endif
