// SPDX-License-Identifier: Apache-2.0
// The algorithm of Fill, compiled once per instruction set.
#ifndef DOVETAIL_PLUGINS_FILL_CPU_GENERIC_HPP
#define DOVETAIL_PLUGINS_FILL_CPU_GENERIC_HPP

#include "cpu_kernels.hpp"
#include "kernels/simd/convert.hpp"
#include "kernels/simd/float64.hpp"
#include "numbers.hpp"

namespace DT_ISA {
namespace {

constexpr int64_t kBlocks = 64;  // of four numbers, a chunk

// The value at the beginning of the row in which element `first` is; *column: its place there.
template <class T>
T start_of_row(const FillArgs& args, int64_t first, T alpha, const T* beta, int64_t* column) {
  const int inner = args.rank - 1;
  *column = first % args.dims[inner];
  int64_t row = first / args.dims[inner];
  for (int i = inner - 1; i >= 0; --i) {
    alpha += beta[i] * static_cast<T>(row % args.dims[i]);
    row /= args.dims[i];
  }
  return alpha;
}

// Calls put(first, n, value, step, column): element first + i is value + step * (column + i).
template <class T, class Put>
void each_row(const FillArgs& args, int64_t first, int64_t last, T alpha, const T* beta, const Put& put) {
  const int inner = args.rank - 1;
  for (int64_t n; first < last; first += n) {
    int64_t column;
    const T value = start_of_row(args, first, alpha, beta, &column);
    const int64_t rest = args.dims[inner] - column;
    n = rest < last - first ? rest : last - first;
    put(first, n, value, beta[inner], column);
  }
}

template <class T>
void integers(const FillArgs& args, int64_t first, int64_t last) {
  uint64_t beta[8];
  for (int i = 0; i < args.rank; ++i) beta[i] = static_cast<uint64_t>(args.whole[i]);
  each_row(args, first, last, static_cast<uint64_t>(args.alpha_whole), beta,
           [&](int64_t from, int64_t n, uint64_t value, uint64_t step, int64_t column) {
             T* y = static_cast<T*>(args.y) + from;
             for (int64_t i = 0; i < n; ++i) y[i] = static_cast<T>(value + step * static_cast<uint64_t>(column + i));
           });
}

void line(const FillArgs& args, int64_t first, int64_t last) {
  each_row(args, first, last, args.alpha, args.beta,
           [&](int64_t from, int64_t n, double value, double step, int64_t column) {
             float chunk[4 * kBlocks];
             for (int64_t k = 0; k < n; k += 4 * kBlocks) {
               const int64_t m = n - k < 4 * kBlocks ? n - k : 4 * kBlocks;
               for (int64_t i = 0; i < m; ++i) {
                 chunk[i] = static_cast<float>(value + step * static_cast<double>(column + k + i));
               }
               store_floats(chunk, args.y, args.type, from + k, m);
             }
           });
}

void random(const FillArgs& args, int64_t first, int64_t last) {
  float chunk[4 * kBlocks];
  for (int64_t n; first < last; first += n) {
    n = last - first < 4 * kBlocks ? last - first : 4 * kBlocks;
    const uint64_t block = static_cast<uint64_t>(first / 4);
    for (int64_t i = 0; i < (n + 3) / 4; ++i) {
      uint32_t words[4];
      philox(block + static_cast<uint64_t>(i), args.seed, words);
      if (args.kind == 1) {
        for (int k = 0; k < 4; ++k) {
          chunk[4 * i + k] = static_cast<float>(args.alpha + (args.beta[0] - args.alpha) * uniform_of(words[k]));
        }
      } else {
        for (int k = 0; k < 4; k += 2) {
          const double radius = args.beta[0] * __builtin_sqrt(-2 * log_d(open_unit(words[k])));
          const double turns = turns_of(words[k + 1]);
          chunk[4 * i + k] = static_cast<float>(args.alpha + radius * cosine_of(turned(turns * 4 * kHalfPi)));
          chunk[4 * i + k + 1] = static_cast<float>(args.alpha + radius * sine_of(turned(turns * 4 * kHalfPi)));
        }
      }
    }
    store_floats(chunk, args.y, args.type, first, n);
  }
}

}  // namespace

void fill(const FillArgs& args, int64_t first, int64_t last) {
  if (args.kind != 0) return random(args, first, last);
  if (args.type == kI32) return integers<int32_t>(args, first, last);
  if (args.type == kI64) return integers<int64_t>(args, first, last);
  line(args, first, last);
}

}  // namespace DT_ISA

#endif
