// SPDX-License-Identifier: Apache-2.0
// The algorithm of RaggedSoftMax, compiled once per instruction set.
#ifndef DOVETAIL_PLUGINS_RAGGED_SOFTMAX_CPU_GENERIC_HPP
#define DOVETAIL_PLUGINS_RAGGED_SOFTMAX_CPU_GENERIC_HPP

#include "cpu_kernels.hpp"
#include "kernels/reduce/fold.hpp"
#include "kernels/simd/convert.hpp"
#include "kernels/simd/math.hpp"

namespace DT_ISA {
namespace {

constexpr int64_t kChunk = 256;

// body(values, first, n) for chunks of `count` elements from `from` on, as float32.
template <class Body>
void each_chunk(const RaggedSoftMaxArgs& args, int64_t from, int64_t count, const Body& body) {
  float values[kChunk];
  for (int64_t i = 0; i < count; i += kChunk) {
    const int64_t n = count - i < kChunk ? count - i : kChunk;
    load_floats(args.x, args.type, from + i, values, n);
    body(values, from + i, n);
  }
}

inline int64_t bound_of(const RaggedSoftMaxArgs& args, int64_t row) {
  const int64_t bound = args.bounds_type == kI64 ? static_cast<const int64_t*>(args.bounds)[row]
                                                 : static_cast<const int32_t*>(args.bounds)[row];
  return bound < 0 ? 0 : bound > args.size ? args.size : bound;
}

inline void exponentials(float* values, float largest, int64_t n) {
  for (int64_t i = 0; i < n; ++i) values[i] = exp_f(values[i] - largest);
}

}  // namespace

void ragged_softmax(const RaggedSoftMaxArgs& args, int64_t first, int64_t last) {
  for (int64_t row = first; row < last; ++row) {
    const int64_t from = row * args.size, count = bound_of(args, row);
    float largest = -__builtin_inff();
    double sum = 0;
    each_chunk(args, from, count, [&](const float* x, int64_t, int64_t n) {
      for (int64_t i = 0; i < n; ++i) largest = x[i] > largest || x[i] != x[i] ? x[i] : largest;
    });
    each_chunk(args, from, count, [&](float* x, int64_t, int64_t n) {
      exponentials(x, largest, n);
      sum += sum_of(x, n);
    });
    const float scale = static_cast<float>(1.0 / sum);
    each_chunk(args, from, count, [&](float* x, int64_t at, int64_t n) {
      exponentials(x, largest, n);
      for (int64_t i = 0; i < n; ++i) x[i] *= scale;
      store_floats(x, args.y, args.type, at, n);
    });
    const int64_t bytes = args.type == kF32 ? 4 : 2;
    memset(static_cast<char*>(args.y) + (from + count) * bytes, 0, static_cast<size_t>((args.size - count) * bytes));
  }
}

}  // namespace DT_ISA

#endif
