// SPDX-License-Identifier: Apache-2.0
// The algorithm of Unary, compiled once per instruction set. One loop a function, so that each becomes vector code.
#ifndef DOVETAIL_PLUGINS_UNARY_CPU_GENERIC_HPP
#define DOVETAIL_PLUGINS_UNARY_CPU_GENERIC_HPP

#include "cpu_functions.hpp"
#include "cpu_kernels.hpp"
#include "kernels/simd/convert.hpp"

namespace DT_ISA {
namespace {

constexpr int64_t kChunk = 512;

template <class X, class Y, class F>
void each(const X* x, Y* y, int64_t n, F f) {
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) y[i] = f(x[i]);
}

// Of great angles those of the C library, which reduces any argument.
template <class F, class Library>
void each_angle(const float* x, float* y, int64_t n, F f, Library library) {
  for (int64_t first = 0; first < n; first += kChunk) {
    const int64_t rest = n - first < kChunk ? n - first : kChunk;
    int32_t n_great = 0;
    for (int64_t i = 0; i < rest; ++i) n_great += abs_u(x[first + i]) >= kMostTurns;
    if (n_great == 0) {
      each(x + first, y + first, rest, f);
    } else {
      for (int64_t i = 0; i < rest; ++i) y[first + i] = library(x[first + i]);
    }
  }
}

inline float great_angle(int32_t kind, float v) {
  return kind == kSin ? __builtin_sinf(v) : kind == kCos ? __builtin_cosf(v) : __builtin_tanf(v);
}

void apply(const float* x, float* y, int64_t n, int32_t kind) {
  switch (kind) {
#define UNARY_CASE(name, expression) \
  case name:                         \
    return each(x, y, n, [](float v) { return expression; });
    DOVETAIL_UNARY_FUNCTIONS(UNARY_CASE)
#undef UNARY_CASE
#define UNARY_CASE(name, expression) \
  case name:                         \
    return each_angle(x, y, n, [](float v) { return expression; }, [](float v) { return great_angle(name, v); });
    DOVETAIL_UNARY_ANGLES(UNARY_CASE)
#undef UNARY_CASE
  }
}

void ask(const float* x, uint8_t* y, int64_t n, int32_t kind) {
  if (kind == kIsinf) return each(x, y, n, [](float v) { return is_inf(v); });
  each(x, y, n, [](float v) { return is_nan(v); });
}

template <class T>
void integers(const UnaryArgs& args, int64_t first, int64_t n) {
  const T* x = static_cast<const T*>(args.x) + first;
  T* y = static_cast<T*>(args.y) + first;
  if (args.kind == kAbs) return each(x, y, n, [](T v) { return IntegerAbs<T>::of(v); });
  if (args.kind == kNeg) return each(x, y, n, [](T v) { return IntegerNeg<T>::of(v); });
  each(x, y, n, [](T v) { return IntegerSign<T>::of(v); });
}

}  // namespace

void unary(const UnaryArgs& args, int64_t first, int64_t last) {
  const bool is_question = args.kind == kIsinf || args.kind == kIsnan;
  switch (args.type) {
    case kF32:
      if (is_question) break;
      return apply(static_cast<const float*>(args.x) + first, static_cast<float*>(args.y) + first, last - first,
                   args.kind);
    case kI32:
      return integers<int32_t>(args, first, last - first);
    case kI64:
      return integers<int64_t>(args, first, last - first);
    case kI8:
      return integers<int8_t>(args, first, last - first);
    case kB8:
      return each(static_cast<const uint8_t*>(args.x) + first, static_cast<uint8_t*>(args.y) + first, last - first,
                  [](uint8_t v) { return LogicalNot<uint8_t>::of(v); });
  }
  float chunk[kChunk];
  for (int64_t n; first < last; first += n) {
    n = last - first < kChunk ? last - first : kChunk;
    load_floats(args.x, args.type, first, chunk, n);
    if (is_question) {
      ask(chunk, static_cast<uint8_t*>(args.y) + first, n, args.kind);
    } else {
      apply(chunk, chunk, n, args.kind);
      store_floats(chunk, args.y, args.type, first, n);
    }
  }
}

}  // namespace DT_ISA

#endif
