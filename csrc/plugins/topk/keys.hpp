// SPDX-License-Identifier: Apache-2.0
// Elements as unsigned integers in the order that TopK wants: greater keys come first. For every device.
#ifndef DOVETAIL_PLUGINS_TOPK_KEYS_HPP
#define DOVETAIL_PLUGINS_TOPK_KEYS_HPP

#include "dovetail/detail/host_device.hpp"
#include "kernels/simd/vec.hpp"

// x is [outer, count, inner], values and indices are [outer, k, inner].
struct TopkArgs {
  const void* x;
  void* values;
  int32_t* indices;
  int32_t type;
  bool is_least;
  int64_t outer, count, inner, k;
};

namespace DT_ISA {

// `bits` are those of a float32. Negative floats grow the other way, all of them are below the positive ones.
DOVETAIL_HOST_DEVICE static inline uint32_t float_key(uint32_t bits, bool is_least) {
  const uint32_t magnitude = bits & 0x7fffffffu;
  const uint32_t ordered = bits >> 31 ? ~bits : bits | 0x80000000u;
  const uint32_t key = magnitude > 0x7f800000u ? 0xffffffffu : magnitude == 0 ? 0x80000000u : ordered;
  return is_least ? ~key : key;
}
DOVETAIL_HOST_DEVICE static inline uint32_t int_key(int32_t v, bool is_least) {
  const uint32_t key = static_cast<uint32_t>(v) ^ 0x80000000u;
  return is_least ? ~key : key;
}
DOVETAIL_HOST_DEVICE static inline uint64_t int_key(int64_t v, bool is_least) {
  const uint64_t key = static_cast<uint64_t>(v) ^ (uint64_t{1} << 63);
  return is_least ? ~key : key;
}

}  // namespace DT_ISA

#endif
