// SPDX-License-Identifier: Apache-2.0
// The algorithm of Pooling, compiled once per instruction set: the rows of a window are joined into one, whole vectors
// at a time, then that row is joined along its width.
#ifndef DOVETAIL_PLUGINS_POOLING_CPU_GENERIC_HPP
#define DOVETAIL_PLUGINS_POOLING_CPU_GENERIC_HPP

#include <string.h>

#include "cpu_kernels.hpp"
#include "kernels/reduce/fold.hpp"
#include "kernels/simd/halves.hpp"
#include "kernels/simd/math.hpp"

namespace DT_ISA {
namespace {

constexpr int64_t kPoolBlock = 256;  // rows, or cells along the width, that are added in float32

// Elements [first, first + n) as floats: where they lie, or in `buffer`.
const float* row_at(const PoolingArgs& args, int64_t first, int64_t n, float* buffer) {
  if (args.x_type == kF32) return static_cast<const float*>(args.x) + first;
  if (args.x_type == kI8) {
    const int8_t* from = static_cast<const int8_t*>(args.x) + first;
    for (int64_t i = 0; i < n; ++i) buffer[i] = from[i];
  } else {
    load_floats(args.x, args.x_type, first, buffer, n);
  }
  return buffer;
}

void store_row(const PoolingArgs& args, const float* row, int64_t first, int64_t n) {
  if (args.y_type != kI8) return store_floats(row, args.y, args.y_type, first, n);
  int8_t* to = static_cast<int8_t*>(args.y) + first;
  for (int64_t i = 0; i < n; ++i) {
    to[i] = static_cast<int8_t>(static_cast<int32_t>(round_even_f(clamp_nan(row[i], -128.0f, 127.0f))));
  }
}

// Elements of `from` are joined to those of `to`. Four vectors a turn: a loop over one is so short that its speed
// depends on where it is placed, 13 us or 19 for 128 rows of 2048 (AVX2, Zen 4: the slow one crosses a line
// of the cache).
template <class Op>
void join(float* to, const float* from, int64_t n) {
  int64_t i = 0;
  for (; i + 4 * kLanes <= n; i += 4 * kLanes) {
    const VecF a = Op::vector(load(to + i), load(from + i));
    const VecF b = Op::vector(load(to + i + kLanes), load(from + i + kLanes));
    const VecF c = Op::vector(load(to + i + 2 * kLanes), load(from + i + 2 * kLanes));
    const VecF d = Op::vector(load(to + i + 3 * kLanes), load(from + i + 3 * kLanes));
    store(to + i, a);
    store(to + i + kLanes, b);
    store(to + i + 2 * kLanes, c);
    store(to + i + 3 * kLanes, d);
  }
#pragma GCC ivdep
  for (; i < n; ++i) to[i] = Op::scalar(to[i], from[i]);
}

template <class Op>
void join_row(float* to, const float* from, int64_t n, bool is_first) {
  if (is_first) {
    memcpy(to, from, static_cast<size_t>(n) * sizeof(float));
  } else {
    join<Op>(to, from, n);
  }
}

// What cells [first_tap, last_tap) of each window give, from the joined row; `lanes` floats each.
template <class Op, int lanes>
void join_taps(const PoolAxis& axis, const float* row, int64_t first_tap, int64_t last_tap, float* out) {
  for (int64_t i = 0; i < axis.out * lanes; ++i) out[i] = Op::kIdentity;
  for (int64_t r = first_tap; r < last_tap; ++r) {
    const int64_t shift = r - axis.before;  // output o reads cell o * stride + shift
    const int64_t first = shift < 0 ? (-shift + axis.stride - 1) / axis.stride : 0;
    int64_t last = shift < axis.in ? (axis.in - 1 - shift) / axis.stride + 1 : 0;
    if (last > axis.out) last = axis.out;
    const float* cells = row + shift * lanes;
    if (axis.stride == 1) {
      join<Op>(out + first * lanes, cells + first * lanes, (last - first) * lanes);
    } else if (lanes == 1 && axis.stride == 2) {
#pragma GCC ivdep
      for (int64_t o = first; o < last; ++o) out[o] = Op::scalar(out[o], cells[2 * o]);
    } else {
      for (int64_t o = first; o < last; ++o) {
#pragma GCC ivdep
        for (int l = 0; l < lanes; ++l) {
          out[o * lanes + l] = Op::scalar(out[o * lanes + l], cells[o * axis.stride * lanes + l]);
        }
      }
    }
  }
}

// wide += part; the first time it is set.
void widen(const float* part, double* wide, int64_t n, bool is_first) {
  for (int64_t i = 0; i < n; ++i) wide[i] = (is_first ? 0.0 : wide[i]) + static_cast<double>(part[i]);
}

template <int lanes>
void max_along(const PoolAxis& axis, const float* row, float* out) {
  if (lanes == 1 && axis.out == 1) {
    const int64_t low = low_cell(axis, 0), n = high_cell(axis, 0) - low;
    out[0] = n > 0 ? max_of(row + low, n) : -kInfinity;
    return;
  }
  join_taps<MaxOp, lanes>(axis, row, 0, axis.window, out);
}

// A long window is summed in blocks, and these in float64.
template <int lanes>
void sum_along(const PoolAxis& axis, const float* row, float* out, double* wide) {
  if (lanes == 1 && axis.out == 1) {
    const int64_t low = low_cell(axis, 0), n = high_cell(axis, 0) - low;
    out[0] = n <= 0            ? 0.0f
             : n <= kPoolBlock ? fold_block<SumOp>(row + low, n)
                               : static_cast<float>(sum_of(row + low, n));
    return;
  }
  const int64_t n = axis.out * lanes;
  for (int64_t tap = 0; tap < axis.window; tap += kPoolBlock) {
    const int64_t end = tap + kPoolBlock < axis.window ? tap + kPoolBlock : axis.window;
    join_taps<SumOp, lanes>(axis, row, tap, end, out);
    if (axis.window > kPoolBlock) widen(out, wide, n, tap == 0);
  }
  for (int64_t i = 0; axis.window > kPoolBlock && i < n; ++i) out[i] = static_cast<float>(wide[i]);
}

template <int lanes>
void pool(const PoolingArgs& args, int64_t first, int64_t last, float* scratch) {
  const PoolAxis &depth = args.axis[0], &height = args.axis[1], &width = args.axis[2];
  const int64_t in = width.in * lanes, out = width.out * lanes;
  float *loaded = scratch, *row_max = loaded + in, *row_sum = row_max + in, *maxima = row_sum + in,
        *sums = maxima + out;
  double *wide_row = reinterpret_cast<double*>(scratch + pool_floats(in, out)), *wide_sums = wide_row + in;
  const bool has_max = args.kind != kPoolAverage, has_sum = args.kind != kPoolMax;
  const bool is_long = depth.window * height.window > kPoolBlock;  // blocks of rows, whose sums are float32
  for (int64_t item = first; item < last; ++item) {
    const int64_t h = item % height.out, d = item / height.out % depth.out, plane = item / height.out / depth.out;
    int64_t n_rows = 0;
    for (int64_t z = low_cell(depth, d); z < high_cell(depth, d); ++z) {
      for (int64_t r = low_cell(height, h); r < high_cell(height, h); ++r, ++n_rows) {
        const float* row = row_at(args, ((plane * depth.in + z) * height.in + r) * in, in, loaded);
        const bool is_first = n_rows == 0, begins = is_first || (is_long && n_rows % kPoolBlock == 0);
        if (has_max) join_row<MaxOp>(row_max, row, in, is_first);
        if (!has_sum) continue;
        if (begins && !is_first) widen(row_sum, wide_row, in, n_rows == kPoolBlock);
        join_row<SumOp>(row_sum, row, in, begins);
      }
    }
    if (n_rows == 0) {  // all rows are outside
      for (int64_t i = 0; i < in; ++i) row_max[i] = -kInfinity, row_sum[i] = 0.0f;
    }
    if (has_sum && n_rows > kPoolBlock) {
      for (int64_t i = 0; i < in; ++i) row_sum[i] = static_cast<float>(wide_row[i] + static_cast<double>(row_sum[i]));
    }
    if (has_max) max_along<lanes>(width, row_max, maxima);
    if (has_sum) {
      sum_along<lanes>(width, row_sum, sums, wide_sums);
      const int64_t cells =
          counted_cells(depth, d, args.excludes_padding) * counted_cells(height, h, args.excludes_padding);
      for (int64_t o = 0; o < width.out; ++o) {
        const float n = static_cast<float>(cells * counted_cells(width, o, args.excludes_padding));
        for (int l = 0; l < lanes; ++l) sums[o * lanes + l] /= n;
      }
    }
    float* result = has_max ? maxima : sums;
    if (has_max && has_sum) {
      for (int64_t i = 0; i < out; ++i) result[i] = (1.0f - args.blend) * maxima[i] + args.blend * sums[i];
    }
    if (args.scale != 1.0f) {
      for (int64_t i = 0; i < out; ++i) result[i] *= args.scale;
    }
    store_row(args, result, item * out, out);
  }
}

// Short windows of floats, maxima or averages: a row of the windows' rows joined in registers, with cells outside of x
// on both sides of it, so that no output is a case of its own. T is the type of x and y; what is joined is float32.
constexpr int64_t kMostNearRows = 8, kMostNearTaps = 16;

int64_t near_cells(const PoolAxis& width) {
  const int64_t reach = (width.out - 1) * width.stride + width.window, end = width.before + width.in;
  return reach > end ? reach : end;
}

// Floats of scratch: the row, room for vectors that end behind it, and a factor for each output.
int64_t near_floats(const PoolAxis& width, int lanes) {
  return near_cells(width) * lanes + 2 * kLanes + width.out + kLanes;
}

bool is_near(const PoolingArgs& args, int lanes) {
  const PoolAxis &depth = args.axis[0], &height = args.axis[1], &width = args.axis[2];
  return args.x_type != kI8 && args.y_type == args.x_type && (args.kind == kPoolMax || args.kind == kPoolAverage) &&
         depth.window == 1 && depth.stride == 1 && depth.before == 0 && depth.in == depth.out && width.before >= 0 &&
         height.window <= kMostNearRows && width.window <= kMostNearTaps && args.scale == 1.0f &&
         near_floats(width, lanes) <= pool_scratch(width.in * lanes, width.out * lanes);
}

template <class Op, class T>
VecF joined_at(const T* row, int64_t step, int64_t n_rows, int64_t i) {
  VecF v = load(row + i);
  for (int64_t r = 1; r < n_rows; ++r) v = Op::vector(v, load(row + r * step + i));
  return v;
}

template <class Op, class T>
void join_near_rows(const T* row, int64_t step, int64_t n_rows, int64_t n, float* to) {
  int64_t i = 0;
  if (n_rows == 2) {
    for (; i + kLanes <= n; i += kLanes) store(to + i, joined_at<Op>(row, step, 2, i));
  } else if (n_rows == 3) {
    for (; i + kLanes <= n; i += kLanes) store(to + i, joined_at<Op>(row, step, 3, i));
  } else {
    for (; i + kLanes <= n; i += kLanes) store(to + i, joined_at<Op>(row, step, n_rows, i));
  }
  for (; i < n; ++i) {
    float v = value_of(row[i]);
    for (int64_t r = 1; r < n_rows; ++r) v = Op::scalar(v, value_of(row[r * step + i]));
    to[i] = v;
  }
}

// Elements 0, 2, 4 ... of the 2 * kLanes from p on.
inline VecF every_other(const float* p) {
#if defined(__AVX512F__)
  const __m512i even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
  const __m512 low = static_cast<__m512>(load(p)), high = static_cast<__m512>(load(p + kLanes));
  return static_cast<VecF>(_mm512_maskz_permutex2var_ps(kAllLanes, low, even, high));
#else
  VecF v;
  for (int k = 0; k < kLanes; ++k) v[k] = p[2 * k];
  return v;
#endif
}

// Along a row: y[o] from the cells o * stride and so on of it, where averages are multiplied by a factor of each output.
template <class Op, int lanes, class T>
void join_near_taps(const PoolAxis& width, const float* row, const float* factors, float factor, T* y) {
  const int64_t stride = width.stride, window = width.window;
  if constexpr (lanes == 16) {
    for (int64_t o = 0; o < width.out; ++o, row += stride * lanes, y += lanes) {
      for (int v = 0; v < lanes; v += kLanes) {
        VecF all = load(row + v);
        for (int64_t t = 1; t < window; ++t) all = Op::vector(all, load(row + t * lanes + v));
        store_lanes(y + v, kLanes, factors ? all * (factors[o] * factor) : all);
      }
    }
    return;
  }
  int64_t o = 0;
  const auto in_vectors = [&](const auto& cells_at) {
    for (; o < width.out; o += kLanes) {
      const float* const from = row + o * stride;
      VecF all = cells_at(from);
      for (int64_t t = 1; t < window; ++t) all = Op::vector(all, cells_at(from + t));
      if (factors) all *= load(factors + o) * factor;
      store_lanes(y + o, static_cast<int>(width.out - o < kLanes ? width.out - o : kLanes), all);
    }
  };
  if (stride == 1) return in_vectors([](const float* p) { return load(p); });
  if (stride == 2) return in_vectors([](const float* p) { return every_other(p); });
  for (; o < width.out; ++o) {
    float all = row[o * stride];
    for (int64_t t = 1; t < window; ++t) all = Op::scalar(all, row[o * stride + t]);
    set_value(y + o, factors ? all * (factors[o] * factor) : all);
  }
}

template <class Op, int lanes, class T>
void pool_near(const PoolingArgs& args, int64_t first, int64_t last, float* scratch) {
  const PoolAxis &height = args.axis[1], &width = args.axis[2];
  const int64_t in = width.in * lanes, cells = near_cells(width) * lanes;
  float *const row = scratch + width.out + kLanes, *const inside = row + width.before * lanes;
  const float* const factors = args.kind == kPoolAverage ? scratch : nullptr;
  for (int64_t o = 0; o < width.out + kLanes; ++o) {
    const int64_t n = o < width.out ? counted_cells(width, o, args.excludes_padding) : 1;
    scratch[o] = 1.0f / static_cast<float>(n);
  }
  for (int64_t i = 0; i < cells + 2 * kLanes; ++i) row[i] = Op::kIdentity;
  for (int64_t item = first; item < last; ++item) {
    const int64_t h = item % height.out, plane = item / height.out;
    const int64_t low = low_cell(height, h), n_rows = high_cell(height, h) - low;
    if (n_rows > 0) {
      join_near_rows<Op>(static_cast<const T*>(args.x) + (plane * height.in + low) * in, in, n_rows, in, inside);
    } else {
      for (int64_t i = 0; i < in; ++i) inside[i] = Op::kIdentity;
    }
    const float factor = 1.0f / static_cast<float>(counted_cells(height, h, args.excludes_padding));
    T* const y = static_cast<T*>(args.y) + item * width.out * lanes;
    join_near_taps<Op, lanes>(width, row, factors, factor, y);
  }
}

template <int lanes>
void pool_any(const PoolingArgs& args, int64_t first, int64_t last, float* scratch) {
  if (!is_near(args, lanes)) return pool<lanes>(args, first, last, scratch);
  const auto run_as = [&](auto kind) {
    typedef decltype(kind) T;
    const auto run = args.kind == kPoolMax ? pool_near<MaxOp, lanes, T> : pool_near<SumOp, lanes, T>;
    run(args, first, last, scratch);
  };
  args.x_type == kF32 ? run_as(0.0f) : args.x_type == kF16 ? run_as(Half{}) : run_as(Bfloat{});
}

constexpr int64_t kPoolBytes = 64;

template <class T, int64_t n>
struct ByteVector {
  typedef T Type __attribute__((vector_size(n), aligned(1), may_alias));
};

// to = the larger one of both, in vectors as long as there are some.
template <class T>
void join_bytes(T* to, const T* x, int64_t n) {
  typedef typename ByteVector<T, kPoolBytes>::Type Vec;
  int64_t i = 0;
  for (; i + kPoolBytes <= n; i += kPoolBytes) {
    Vec* const most = reinterpret_cast<Vec*>(to + i);
    const Vec v = *reinterpret_cast<const Vec*>(x + i);
    *most = v > *most ? v : *most;
  }
  for (; i < n; ++i) to[i] = x[i] > to[i] ? x[i] : to[i];
}

// y[o] = the largest of row in the window of o; `lanes` side by side.
template <class T, int lanes>
void most_along(const PoolAxis& width, const T* row, T least, T* y) {
  typedef typename ByteVector<T, lanes>::Type Vec;
  for (int64_t o = 0; o < width.out; ++o, y += lanes) {
    Vec most = Vec{} + least;
    const int64_t end = high_cell(width, o);
    for (int64_t c = low_cell(width, o); c < end; ++c) {
      const Vec v = *reinterpret_cast<const Vec*>(row + c * lanes);
      most = v > most ? v : most;
    }
    *reinterpret_cast<Vec*>(y) = most;
  }
}

template <class T>
void most_along_one(const PoolAxis& width, const T* row, T least, T* y) {
  if (width.stride != 1) {
    for (int64_t o = 0; o < width.out; ++o) {
      y[o] = least;
      for (int64_t c = low_cell(width, o); c < high_cell(width, o); ++c) y[o] = row[c] > y[o] ? row[c] : y[o];
    }
    return;
  }
  memset(y, static_cast<uint8_t>(least), static_cast<size_t>(width.out));
  for (int64_t tap = 0; tap < width.window; ++tap) {  // cell o + shift of each y[o] that has it
    const int64_t shift = tap - width.before, first = shift < 0 ? -shift : 0;
    const int64_t last = width.in - shift < width.out ? width.in - shift : width.out;
    if (first < last) join_bytes(y + first, row + first + shift, last - first);
  }
}

// The largest of bytes T, `lanes` side by side: first of the rows of a window, then along these.
template <class T, int lanes>
void pool_bytes(const PoolingArgs& args, int64_t first, int64_t last, T* joined) {
  const PoolAxis &depth = args.axis[0], &height = args.axis[1], &width = args.axis[2];
  const T least = static_cast<T>(static_cast<T>(-1) < 0 ? -128 : 0);
  const int64_t in = width.in * lanes;
  for (int64_t item = first; item < last; ++item) {
    const int64_t h = item % height.out, d = item / height.out % depth.out, plane = item / height.out / depth.out;
    const T* rows = nullptr;  // the only row of the window, or those that are joined
    for (int64_t z = low_cell(depth, d); z < high_cell(depth, d); ++z) {
      for (int64_t r = low_cell(height, h); r < high_cell(height, h); ++r) {
        const T* const row = static_cast<const T*>(args.x) + ((plane * depth.in + z) * height.in + r) * in;
        if (rows == nullptr) {
          rows = row;
          continue;
        }
        if (rows != joined) memcpy(joined, rows, static_cast<size_t>(in));
        rows = joined;
        join_bytes(joined, row, in);
      }
    }
    T* const y = static_cast<T*>(args.y) + item * width.out * lanes;
    if (rows == nullptr) {
      memset(y, static_cast<uint8_t>(least), static_cast<size_t>(width.out * lanes));
    } else if constexpr (lanes == 1) {
      most_along_one(width, rows, least, y);
    } else {
      most_along<T, lanes>(width, rows, least, y);
    }
  }
}

}  // namespace

void pooling_bytes(const PoolingArgs& args, int lanes, int64_t first, int64_t last, float* scratch) {
  if (args.x_type == kI8) {
    int8_t* const joined = reinterpret_cast<int8_t*>(scratch);
    lanes == 1 ? pool_bytes<int8_t, 1>(args, first, last, joined) : pool_bytes<int8_t, 16>(args, first, last, joined);
  } else {
    uint8_t* const joined = reinterpret_cast<uint8_t*>(scratch);
    lanes == 1 ? pool_bytes<uint8_t, 1>(args, first, last, joined) : pool_bytes<uint8_t, 16>(args, first, last, joined);
  }
}

void pooling(const PoolingArgs& args, int lanes, int64_t first, int64_t last, float* scratch) {
  lanes == 1 ? pool_any<1>(args, first, last, scratch) : pool_any<16>(args, first, last, scratch);
}

}  // namespace DT_ISA

#endif
