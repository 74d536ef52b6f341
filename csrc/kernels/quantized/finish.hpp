// SPDX-License-Identifier: Apache-2.0
// What becomes of int32 sums: y in int32, float32, int8 or uint8.
#ifndef DOVETAIL_KERNELS_QUANTIZED_FINISH_HPP
#define DOVETAIL_KERNELS_QUANTIZED_FINISH_HPP

#include "kernels/quantized/args.hpp"

namespace DT_ISA {
namespace {

typedef int32_t VecIAnywhere __attribute__((vector_size(4 * kLanes), aligned(4), may_alias));
typedef uint32_t VecU __attribute__((vector_size(4 * kLanes)));  // wraps round as the sums do
typedef uint8_t VecBytes __attribute__((vector_size(kLanes)));

inline VecU load_ints(const int32_t* p) {
  return reinterpret_cast<VecU>(static_cast<VecI>(*reinterpret_cast<const VecIAnywhere*>(p)));
}

// To the nearest integer, ties to even, of |v| below 2^22: the fraction does not fit into the sum.
inline VecF nearest(VecF v) {
  const VecF big = splat(12582912.0f);
  return (v + big) - big;
}

// A panel's sums of one pixel, of columns [at, at + 16) of the vectors, to y: n elements of it, or all 16, of which
// those behind n are 0.
class Finish {
  static constexpr int64_t kColumns = kQuantizedColumns;

 public:
  Finish(const QuantizedFinish& f, int64_t at)
      : f_(f),
        start_(f.start + at),
        zeros_(f.b_zeros ? f.b_zeros + at : nullptr),
        factors_(f.factors ? f.factors + at : nullptr),
        biases_(f.biases ? f.biases + at : nullptr) {}

  void write(const int32_t* sums, int32_t a_sum, void* y, int64_t at, int64_t n, bool is_blocked) const {
    if (f_.y_type == kI32) {
      int32_t* const to = static_cast<int32_t*>(y) + at;
      return put<int32_t>(to, n, is_blocked, [&](int64_t i, int32_t* v) {
        *reinterpret_cast<VecIAnywhere*>(v) = reinterpret_cast<VecI>(whole(sums, a_sum, i));
      });
    }
    if (f_.y_type == kF32) {
      float* const to = static_cast<float*>(y) + at;
      return put<float>(to, n, is_blocked, [&](int64_t i, float* v) {
        const VecF real = scaled(sums, a_sum, i);
        store(v, biases_ ? real + load(biases_ + i) : real);
      });
    }
    uint8_t* const to = static_cast<uint8_t*>(y) + at;
    put<uint8_t>(to, n, is_blocked, [&](int64_t i, uint8_t* v) {
      const VecF real = scaled(sums, a_sum, i), low = splat(f_.low), high = splat(f_.high);
      const VecF above = real > low ? real : low;  // nan becomes the lower limit
      const VecF steps = nearest(above < high ? above : high) + splat(f_.zero);
      const VecBytes bytes = __builtin_convertvector(__builtin_convertvector(steps, VecI), VecBytes);
      memcpy(v, &bytes, kLanes);
    });
  }

 private:
  VecU whole(const int32_t* sums, int32_t a_sum, int64_t i) const {
    const VecU sum = load_ints(sums + i) + load_ints(start_ + i);
    return zeros_ ? sum - load_ints(zeros_ + i) * static_cast<uint32_t>(a_sum) : sum;
  }
  VecF scaled(const int32_t* sums, int32_t a_sum, int64_t i) const {
    return __builtin_convertvector(reinterpret_cast<VecI>(whole(sums, a_sum, i)), VecF) * load(factors_ + i);
  }

  // `make` writes kLanes elements for columns i and those behind it.
  template <class T, class Make>
  static void put(T* y, int64_t n, bool is_blocked, const Make& make) {
    if (n == kColumns) {
#pragma GCC unroll 4
      for (int64_t i = 0; i < kColumns; i += kLanes) make(i, y + i);
      return;
    }
    T v[kColumns];
    for (int64_t i = 0; i < kColumns; i += kLanes) make(i, v + i);
    for (int64_t i = 0; i < n; ++i) y[i] = v[i];
    for (int64_t i = n; is_blocked && i < kColumns; ++i) y[i] = T{0};
  }

  const QuantizedFinish& f_;
  const int32_t *const start_, *const zeros_;
  const float *const factors_, *const biases_;
};

}  // namespace
}  // namespace DT_ISA

#endif
