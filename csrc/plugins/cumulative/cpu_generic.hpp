// SPDX-License-Identifier: Apache-2.0
// The algorithm of Cumulative, compiled once per instruction set: columns beside one another at once.
#ifndef DOVETAIL_PLUGINS_CUMULATIVE_CPU_GENERIC_HPP
#define DOVETAIL_PLUGINS_CUMULATIVE_CPU_GENERIC_HPP

#include "cpu_kernels.hpp"
#include "kernels/simd/convert.hpp"

namespace DT_ISA {
namespace {

constexpr int64_t kColumns = kCumulativeColumns;

constexpr int64_t kSumRows = 64;  // elements whose sum is a chain of float32

// totals = totals joined with v; what y gets is left in v.
template <class T>
void join(T* __restrict__ totals, T* __restrict__ v, int64_t n, bool is_product, bool exclusive) {
  if (exclusive) {
#pragma GCC ivdep
    for (int64_t i = 0; i < n; ++i) {
      const T before = totals[i];
      totals[i] = static_cast<T>(is_product ? before * v[i] : before + v[i]);
      v[i] = before;
    }
  } else {
#pragma GCC ivdep
    for (int64_t i = 0; i < n; ++i) v[i] = totals[i] = static_cast<T>(is_product ? totals[i] * v[i] : totals[i] + v[i]);
  }
}

template <class T>
constexpr bool kIsFloat = false;
template <>
constexpr bool kIsFloat<float> = true;

// Sums of all blocks in front of the one that is being summed: a long chain of float32 additions would drift. Products
// do not, and integers are exact: these have none.
struct Before {
  double sum[kColumns];
  float rounded[kColumns];

  void begin(int64_t n) {
    for (int64_t i = 0; i < n; ++i) sum[i] = rounded[i] = 0;
  }
  void end_block(float* totals, int64_t n) {
    for (int64_t i = 0; i < n; ++i) {
      sum[i] += static_cast<double>(totals[i]);
      rounded[i] = static_cast<float>(sum[i]);
      totals[i] = 0;
    }
  }
  void join(float* __restrict__ totals, float* __restrict__ v, int64_t n, bool exclusive) const {
    if (exclusive) {
#pragma GCC ivdep
      for (int64_t i = 0; i < n; ++i) {
        const float last = totals[i];
        totals[i] = last + v[i];
        v[i] = rounded[i] + last;
      }
    } else {
#pragma GCC ivdep
      for (int64_t i = 0; i < n; ++i) {
        totals[i] += v[i];
        v[i] = rounded[i] + totals[i];
      }
    }
  }
};

// Integers are joined as unsigned ones, which wrap round.
void load_row(const void* x, int32_t, int64_t at, uint8_t* v, int64_t n) {
  memcpy(v, static_cast<const uint8_t*>(x) + at, static_cast<size_t>(n));
}
void load_row(const void* x, int32_t, int64_t at, uint32_t* v, int64_t n) {
  memcpy(v, static_cast<const uint32_t*>(x) + at, static_cast<size_t>(n) * 4);
}
void load_row(const void* x, int32_t, int64_t at, uint64_t* v, int64_t n) {
  memcpy(v, static_cast<const uint64_t*>(x) + at, static_cast<size_t>(n) * 8);
}
void load_row(const void* x, int32_t type, int64_t at, float* v, int64_t n) { load_floats(x, type, at, v, n); }

void store_row(const uint8_t* v, void* y, int32_t, int64_t at, int64_t n) {
  memcpy(static_cast<uint8_t*>(y) + at, v, static_cast<size_t>(n));
}
void store_row(const uint32_t* v, void* y, int32_t, int64_t at, int64_t n) {
  memcpy(static_cast<uint32_t*>(y) + at, v, static_cast<size_t>(n) * 4);
}
void store_row(const uint64_t* v, void* y, int32_t, int64_t at, int64_t n) {
  memcpy(static_cast<uint64_t*>(y) + at, v, static_cast<size_t>(n) * 8);
}
void store_row(const float* v, void* y, int32_t type, int64_t at, int64_t n) { store_floats(v, y, type, at, n); }

template <class T>
void columns(const CumulativeArgs& args, int64_t item) {
  const int64_t column = item % args.pieces() * kColumns, base = item / args.pieces() * args.n * args.inner + column;
  const int64_t width = args.inner - column < kColumns ? args.inner - column : kColumns;
  T totals[kColumns], v[kColumns];
  for (int64_t i = 0; i < width; ++i) totals[i] = static_cast<T>(args.is_product);
  Before before;
  if (kIsFloat<T>) before.begin(width);
  for (int64_t k = 0; k < args.n; ++k) {
    const int64_t at = base + (args.reverse ? args.n - 1 - k : k) * args.inner;
    load_row(args.x, args.type, at, v, width);
    const bool is_late = kIsFloat<T> && k >= kSumRows && !args.is_product;  // there are blocks in front
    if (!is_late) join(totals, v, width, args.is_product, args.exclusive);
    if constexpr (kIsFloat<T>) {
      if (is_late && k % kSumRows == 0) before.end_block(totals, width);
      if (is_late) before.join(totals, v, width, args.exclusive);
    }
    store_row(v, args.y, args.type, at, width);
  }
}

// Columns whose elements are neighbours. Each sum waits for the one before it, so some columns go side by side.
template <class T, int n_rows>
void rows(const CumulativeArgs& args, int64_t first) {
  T totals[n_rows], v[n_rows][kColumns];
  double before[n_rows] = {};  // as in Before; a block is kColumns elements here
  for (int r = 0; r < n_rows; ++r) totals[r] = static_cast<T>(args.is_product);
  for (int64_t done = 0, n; done < args.n; done += n) {
    n = args.n - done < kColumns ? args.n - done : kColumns;
    const int64_t at = first * args.n + (args.reverse ? args.n - done - n : done);
    for (int r = 0; r < n_rows; ++r) load_row(args.x, args.type, at + r * args.n, v[r], n);
    for (int64_t i = 0; i < n; ++i) {
      const int64_t place = args.reverse ? n - 1 - i : i;
      for (int r = 0; r < n_rows; ++r) {
        const T last = totals[r], each = v[r][place];
        totals[r] = static_cast<T>(args.is_product ? last * each : last + each);
        v[r][place] = args.exclusive ? last : totals[r];
      }
    }
    if constexpr (kIsFloat<T>) {
      for (int r = 0; r < n_rows && !args.is_product; ++r) {
        const float rounded = static_cast<float>(before[r]);
        for (int64_t i = 0; done > 0 && i < n; ++i) v[r][i] += rounded;
        before[r] += static_cast<double>(totals[r]);
        totals[r] = 0;
      }
    }
    for (int r = 0; r < n_rows; ++r) store_row(v[r], args.y, args.type, at + r * args.n, n);
  }
}

template <class T>
void items(const CumulativeArgs& args, int64_t first, int64_t last) {
  if (args.inner == 1) {
    for (; first + 4 <= last; first += 4) rows<T, 4>(args, first);
    for (; first < last; ++first) rows<T, 1>(args, first);
  } else {
    for (; first < last; ++first) columns<T>(args, first);
  }
}

}  // namespace

void cumulative(const CumulativeArgs& args, int64_t first, int64_t last) {
  switch (args.type) {
    case kI8:
    case kU8:
      return items<uint8_t>(args, first, last);
    case kI32:
      return items<uint32_t>(args, first, last);
    case kI64:
      return items<uint64_t>(args, first, last);
    default:
      return items<float>(args, first, last);
  }
}

}  // namespace DT_ISA

#endif
