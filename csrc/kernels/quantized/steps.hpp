// SPDX-License-Identifier: Apache-2.0
// Real numbers to integers of 8 bits and back, element by element.
#ifndef DOVETAIL_KERNELS_QUANTIZED_STEPS_HPP
#define DOVETAIL_KERNELS_QUANTIZED_STEPS_HPP

#include "kernels/quantized/finish.hpp"

namespace DT_ISA {
namespace {

constexpr int64_t kStepsAtOnce = 64;

// A division is slow, and x times 1 / scale differs from it by less than 1e-4 where it is not limited: only quotients
// that near to the middle of two steps are divided.
inline void quantize_block(const QuantizedSteps& args, float inverse, const float* x, uint8_t* y) {
  const VecF low = splat(args.low), high = splat(args.high), zero = splat(args.zero);
  const VecI whole_zero = VecI{} + static_cast<int32_t>(args.zero);
  VecI doubtful = {};
  for (int64_t i = 0; i < kStepsAtOnce; i += kLanes) {
    const VecF quotient = limited(load(x + i) * splat(inverse), low, high), whole = nearest(quotient);
    const VecF off = quotient - whole;
    doubtful |= (off > splat(0.4999f)) | (off < splat(-0.4999f));
    store_bytes(__builtin_convertvector(whole + zero, VecI), y + i);
  }
  int32_t any = 0;
  for (int lane = 0; lane < kLanes; ++lane) any |= doubtful[lane];
  if (any == 0) return;
  for (int64_t i = 0; i < kStepsAtOnce; i += kLanes) {
    store_bytes(nearest_int(limited(load(x + i) / splat(args.scale), low, high)) + whole_zero, y + i);
  }
}

}  // namespace

void quantized_steps(const QuantizedSteps& args, int64_t first, int64_t last) {
  const float inverse = 1.0f / args.scale;
  // An inverse that is infinite or denormal cannot stand for the division.
  const bool is_plain = inverse > 1e-30f && inverse < 1e30f;
  int64_t i = first;
  for (; is_plain && i + kStepsAtOnce <= last; i += kStepsAtOnce) quantize_block(args, inverse, args.x + i, args.y + i);
  for (; i < last; ++i) {
    const float quotient = args.x[i] / args.scale;
    const VecF whole = nearest(limited(splat(quotient), splat(args.low), splat(args.high)));
    args.y[i] = static_cast<uint8_t>(static_cast<int32_t>(whole[0] + args.zero));
  }
}

void dequantized_steps(const DequantizedSteps& args, int64_t first, int64_t last) {
  const VecF zero = splat(static_cast<float>(args.zero)), scale = splat(args.scale);
  int64_t i = first;
  for (; i + kLanes <= last; i += kLanes) store(args.y + i, (load_bytes(args.x + i, args.is_signed) - zero) * scale);
  for (; i < last; ++i) {
    const int32_t stored = args.is_signed ? static_cast<int8_t>(args.x[i]) : args.x[i];
    args.y[i] = static_cast<float>(stored - args.zero) * args.scale;
  }
}

void quantized_addition(const QuantizedAddition& args, int64_t first, int64_t last) {
  const VecF low = splat(args.low), high = splat(args.high), offset = splat(args.offset);
  const VecI zero = VecI{} + static_cast<int32_t>(args.zero);
  const VecF by_a = splat(args.a_factor), by_b = splat(args.b_factor);
  const auto sum = [&](const uint8_t* a, const uint8_t* b, uint8_t* y) {
    const VecF real = load_bytes(a, args.a_is_signed) * by_a + (load_bytes(b, args.b_is_signed) * by_b + offset);
    store_bytes(nearest_int(limited(real, low, high)) + zero, y);
  };
  int64_t i = first;
  for (; i + kLanes <= last; i += kLanes) sum(args.a + i, args.b + i, args.y + i);
  if (i == last) return;
  uint8_t a[kLanes] = {}, b[kLanes] = {}, y[kLanes];
  const size_t rest = static_cast<size_t>(last - i);
  memcpy(a, args.a + i, rest);
  memcpy(b, args.b + i, rest);
  sum(a, b, y);
  memcpy(args.y + i, y, rest);
}

void quantized_range(const float* x, int64_t n, float* low, float* high) {
  VecF least[4] = {}, most[4] = {};
  int64_t i = 0;
  for (; i + 4 * kLanes <= n; i += 4 * kLanes) {
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) {
      const VecF v = load(x + i + j * kLanes);
      least[j] = v < least[j] ? v : least[j];
      most[j] = v > most[j] ? v : most[j];
    }
  }
  float lowest = 0, highest = 0;
  for (int j = 0; j < 4; ++j) {
    for (int lane = 0; lane < kLanes; ++lane) {
      lowest = least[j][lane] < lowest ? least[j][lane] : lowest;
      highest = most[j][lane] > highest ? most[j][lane] : highest;
    }
  }
  for (; i < n; ++i) {
    lowest = x[i] < lowest ? x[i] : lowest;
    highest = x[i] > highest ? x[i] : highest;
  }
  *low = lowest;
  *high = highest;
}

}  // namespace DT_ISA

#endif
