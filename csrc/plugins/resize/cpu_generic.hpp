// SPDX-License-Identifier: Apache-2.0
// The algorithm of Resize, compiled once per instruction set. Rows are resized along themselves, once for each row of x
// as long as they are wanted again, and then blended with one another.
#ifndef DOVETAIL_PLUGINS_RESIZE_CPU_GENERIC_HPP
#define DOVETAIL_PLUGINS_RESIZE_CPU_GENERIC_HPP

#include "cpu_kernels.hpp"
#include "kernels/simd/convert.hpp"

namespace DT_ISA {
namespace {

void load_row(const void* x, int32_t type, int64_t first, float* to, int64_t n) {
  if (type == kI8) {
    const int8_t* from = static_cast<const int8_t*>(x) + first;
    for (int64_t i = 0; i < n; ++i) to[i] = from[i];
  } else if (type == kU8) {
    const uint8_t* from = static_cast<const uint8_t*>(x) + first;
    for (int64_t i = 0; i < n; ++i) to[i] = from[i];
  } else {
    load_floats(x, type, first, to, n);
  }
}

// In [-128, 255] rounding to nearest even is what adding 1.5 * 2^23 does.
float whole(float v, float low, float high) {
  v = v > low ? (v < high ? v : high) : low;
  return v + 0x1.8p23f - 0x1.8p23f;
}

void store_row(const float* v, void* y, int32_t type, int64_t first, int64_t n) {
  if (type == kI8) {
    int8_t* to = static_cast<int8_t*>(y) + first;
    for (int64_t i = 0; i < n; ++i) to[i] = static_cast<int8_t>(static_cast<int32_t>(whole(v[i], -128, 127)));
  } else if (type == kU8) {
    uint8_t* to = static_cast<uint8_t*>(y) + first;
    for (int64_t i = 0; i < n; ++i) to[i] = static_cast<uint8_t>(static_cast<int32_t>(whole(v[i], 0, 255)));
  } else {
    store_floats(v, y, type, first, n);
  }
}

// to[i] = sum over k of w[k] * from[cells[k][i]], single elements
void resize_elements(const float* from, const ResizeTable& t, float* __restrict__ to) {
  const int64_t n = t.n;
  const int32_t* c = t.cells;
  const float* w = t.weights;
  if (t.taps == 2) {
#pragma GCC ivdep
    for (int64_t i = 0; i < n; ++i) to[i] = w[i] * from[c[i]] + w[n + i] * from[c[n + i]];
    return;
  }
  if (t.taps == 4) {
#pragma GCC ivdep
    for (int64_t i = 0; i < n; ++i) {
      to[i] = w[i] * from[c[i]] + w[n + i] * from[c[n + i]] + w[2 * n + i] * from[c[2 * n + i]] +
              w[3 * n + i] * from[c[3 * n + i]];
    }
    return;
  }
  for (int64_t i = 0; i < n; ++i) to[i] = 0;
  for (int64_t k = 0; k < t.taps; ++k, c += n, w += n) {
#pragma GCC ivdep
    for (int64_t i = 0; i < n; ++i) to[i] += w[i] * from[c[i]];
  }
}

// The same with groups of `inner` neighbours.
void resize_groups(const float* from, const ResizeTable& t, int64_t inner, float* to) {
  for (int64_t i = 0; i < t.n; ++i, to += inner) {
    for (int64_t k = 0; k < t.taps; ++k) {
      const float w = t.weights[k * t.n + i];
      const float* group = from + t.cells[k * t.n + i] * inner;
      if (k == 0) {
#pragma GCC ivdep
        for (int64_t j = 0; j < inner; ++j) to[j] = w * group[j];
      } else {
#pragma GCC ivdep
        for (int64_t j = 0; j < inner; ++j) to[j] += w * group[j];
      }
    }
  }
}

// Rows of x as float32, resized along themselves; those that were made are kept for later units.
struct Rows {
  const ResizeBlend& blend;
  int64_t* made;  // which row is kept where; -1 none
  float *kept, *line, *result;

  Rows(const ResizeBlend& b, void* scratch) : blend(b), made(static_cast<int64_t*>(scratch)) {
    kept = reinterpret_cast<float*>(made + b.n_kept);
    line = kept + b.n_kept * b.chunk();
    result = line + (b.across.taps ? b.row_in : 0);
    forget();
  }
  void forget() {
    for (int64_t i = 0; i < blend.n_kept; ++i) made[i] = -1;
  }
  // n elements from `column` on.
  const float* get(int64_t row, int64_t column, int64_t n) {
    const int64_t at = row * blend.row_in + column;
    const bool is_float = blend.x_type == kF32;
    if (is_float && !blend.across.taps) return static_cast<const float*>(blend.x) + at;
    const int64_t slot = row % blend.n_kept;
    float* to = kept + slot * blend.chunk();
    if (made[slot] == row) return to;
    made[slot] = row;
    if (!blend.across.taps) {
      load_row(blend.x, blend.x_type, at, to, n);
      return to;
    }
    if (!is_float) load_row(blend.x, blend.x_type, at, line, blend.row_in);
    const float* from = is_float ? static_cast<const float*>(blend.x) + at : line;
    blend.inner == 1 ? resize_elements(from, blend.across, to) : resize_groups(from, blend.across, blend.inner, to);
    return to;
  }
};

void blend_rows(Rows& rows, int64_t first_row, int64_t element, int64_t column, int64_t n, float* __restrict__ to) {
  const ResizeTable& t = rows.blend.down;
  const int32_t* c = t.cells + element;
  const float* w = t.weights + element;
  const auto row = [&](int64_t k) { return rows.get(first_row + c[k * t.n], column, n); };
  if (t.taps == 2) {
    const float *a = row(0), *b = row(1), wa = w[0], wb = w[t.n];
#pragma GCC ivdep
    for (int64_t i = 0; i < n; ++i) to[i] = wa * a[i] + wb * b[i];
    return;
  }
  if (t.taps == 4) {
    const float *r0 = row(0), *r1 = row(1), *r2 = row(2), *r3 = row(3);
    const float w0 = w[0], w1 = w[t.n], w2 = w[2 * t.n], w3 = w[3 * t.n];
#pragma GCC ivdep
    for (int64_t i = 0; i < n; ++i) to[i] = w0 * r0[i] + w1 * r1[i] + w2 * r2[i] + w3 * r3[i];
    return;
  }
  for (int64_t i = 0; i < n; ++i) to[i] = 0;
  for (int64_t k = 0; k < t.taps; ++k) {
    const float *r = row(k), weight = w[k * t.n];
#pragma GCC ivdep
    for (int64_t i = 0; i < n; ++i) to[i] += weight * r[i];
  }
}

template <class T>
void move_rows(const ResizeMove& m, int64_t first, int64_t last) {
  const T* before = nullptr;  // the row of x that the last row of y was made of
  T* to = static_cast<T*>(m.y) + first * m.row_out;
  for (int64_t row = first; row < last; ++row, to += m.row_out) {
    int64_t rest = row, at = 0;
    for (int i = m.n - 1; i >= 0; --i) {
      const int64_t place = rest % m.out[i];
      rest /= m.out[i];
      at += (m.cells[i] ? m.cells[i][place] : place) * m.stride[i];
    }
    const T* from = static_cast<const T*>(m.x) + at;
    if (from == before || !m.across) {
      memcpy(to, from == before ? to - m.row_out : from, static_cast<size_t>(m.row_out) * sizeof(T));
    } else if (m.block > 1) {
      const int32_t* c = m.across;
      T* group = to;
      for (; group != to + m.row_out; group += m.block) {
        memcpy(group, from + *c++ * m.block, static_cast<size_t>(m.block) * sizeof(T));
      }
    } else {
      const int32_t* c = m.across;
#pragma GCC ivdep
      for (int64_t i = 0; i < m.row_out; ++i) to[i] = from[c[i]];
    }
    before = from;
  }
}

}  // namespace

void resize_blend(const ResizeBlend& b, int64_t first, int64_t last, void* scratch) {
  Rows rows(b, scratch);
  const int64_t chunks = b.chunks(), chunk = b.chunk();
  int64_t stage = -1;  // outer and chunk, in which rows may be kept
  for (int64_t unit = first; unit < last; ++unit) {
    const int64_t element = unit % b.out, outer = unit / b.out / chunks, column = unit / b.out % chunks * chunk;
    if (unit / b.out != stage) rows.forget();
    stage = unit / b.out;
    const int64_t n = b.row_out - column < chunk ? b.row_out - column : chunk;
    const int64_t at = (outer * b.out + element) * b.row_out + column;
    float* to = b.y_type == kF32 ? static_cast<float*>(b.y) + at : rows.result;
    if (b.down.taps) {
      blend_rows(rows, outer * b.in, element, column, n, to);
    } else {
      memcpy(to, rows.get(outer * b.in + element, column, n), static_cast<size_t>(n) * 4);
    }
    if (b.y_type != kF32) store_row(to, b.y, b.y_type, at, n);
  }
}

void resize_move(const ResizeMove& move, int64_t first, int64_t last) {
  switch (move.element_bytes) {
    case 1:
      return move_rows<uint8_t>(move, first, last);
    case 2:
      return move_rows<uint16_t>(move, first, last);
    case 4:
      return move_rows<uint32_t>(move, first, last);
    default:
      return move_rows<uint64_t>(move, first, last);
  }
}

}  // namespace DT_ISA

#endif
