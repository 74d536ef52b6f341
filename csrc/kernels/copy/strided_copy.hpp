// SPDX-License-Identifier: Apache-2.0
// Copies between boxes with any order of axes and any strides, for layers that only move elements. The description and
// its simplification are for all devices, the copying is for the CPU; cuda_copies.hpp copies on GPUs.
//
//   StridedCopy copy(element_bytes);
//   copy.add(n, distance_in_x, distance_in_y);  // for each axis; distances in x may be negative or 0
//   copy_strided(run, copy, x, y);
#ifndef DOVETAIL_KERNELS_COPY_STRIDED_COPY_HPP
#define DOVETAIL_KERNELS_COPY_STRIDED_COPY_HPP

#include "kernels/layout/format.hpp"

DOVETAIL_OPEN_NAMESPACE

// Types of the elements that are moved.
#define DOVETAIL_MOVED_TYPES "f32|f16|bf16|i8|u8|b8|i32|i64"

// y[to + sum(c[i] * axes[i].to)] = x[from + sum(c[i] * axes[i].from)] for 0 <= c[i] < axes[i].n, in elements.
struct StridedCopy {
  struct Axis {
    int64_t n, from, to;
  };
  Axis axes[DT_MAX_RANK] = {};  // outermost first
  int rank = 0;
  int64_t bytes;  // of an element: 1, 2, 4 or 8, and 16 where `widen` made it so
  int64_t from = 0, to = 0;

  explicit StridedCopy(int64_t element_bytes) : bytes(element_bytes) {}
  void add(int64_t n, int64_t from_step, int64_t to_step) { axes[rank++] = {n, from_step, to_step}; }
  int64_t volume() const {
    int64_t total = 1;
    for (int i = 0; i < rank; ++i) total *= axes[i].n;
    return total;
  }
};

// A copy of a whole tensor without a change of order.
inline StridedCopy whole_copy(const Tensor& x) {
  StridedCopy copy(size_of(x.type()));
  copy.add(x.volume(), 1, 1);
  return copy;
}

// Distances of neighbours on each axis of a dense tensor.
struct RowMajor {
  int64_t step[DT_MAX_RANK];
  RowMajor(const int64_t* dims, int rank) {
    int64_t distance = 1;
    for (int i = rank - 1; i >= 0; --i) {
      step[i] = distance;
      distance *= dims[i];
    }
  }
};

// Puts the axes in the order in which they lie in y, drops those of extent 1, and joins those along which both sides
// run on without a gap. What is empty keeps one axis of extent 0.
inline void collapse(StridedCopy* copy) {
  StridedCopy::Axis sorted[DT_MAX_RANK];
  int n_sorted = 0;
  for (int i = 0; i < copy->rank; ++i) {
    const StridedCopy::Axis axis = copy->axes[i];
    if (axis.n <= 0) {
      copy->rank = 1;
      copy->axes[0] = {0, 1, 1};
      return;
    }
    if (axis.n == 1) continue;
    int at = n_sorted++;
    for (; at > 0 && sorted[at - 1].to < axis.to; --at) sorted[at] = sorted[at - 1];
    sorted[at] = axis;
  }
  copy->rank = 0;
  for (int i = 0; i < n_sorted; ++i) {
    StridedCopy::Axis* outer = copy->rank > 0 ? &copy->axes[copy->rank - 1] : nullptr;
    const StridedCopy::Axis inner = sorted[i];
    if (outer && outer->from == inner.from * inner.n && outer->to == inner.to * inner.n) {
      *outer = {outer->n * inner.n, inner.from, inner.to};
    } else {
      copy->axes[copy->rank++] = inner;
    }
  }
}

// Elements that are neighbours on both sides become one element of up to `most` bytes. `addresses`: those of x and y,
// joined by |, where they must be multiples of the element; else 0. Call it after `collapse`.
inline void widen(StridedCopy* copy, int64_t most, uintptr_t addresses = 0) {
  if (copy->rank == 0) return;
  StridedCopy::Axis* last = &copy->axes[copy->rank - 1];
  if (last->from != 1 || last->to != 1) return;
  while (copy->bytes * 2 <= most && last->n >= 2) {
    int64_t odd = last->n | copy->from | copy->to;
    for (int i = 0; i + 1 < copy->rank; ++i) odd |= copy->axes[i].from | copy->axes[i].to;
    if (odd % 2 != 0 || addresses % static_cast<uintptr_t>(copy->bytes * 2) != 0) break;
    copy->bytes *= 2;
    copy->from /= 2;
    copy->to /= 2;
    last->n /= 2;
    for (int i = 0; i + 1 < copy->rank; ++i) {
      copy->axes[i].from /= 2;
      copy->axes[i].to /= 2;
    }
  }
  if (last->n == 1) --copy->rank;
}

// The axis along which x runs on without a gap, where it is another than that of y; -1 if there is none, or if tiles of
// the two would be too small to pay.
inline int transposed_axis(const StridedCopy& copy) {
  constexpr int64_t kWorthTile = 4;
  if (copy.rank < 2) return -1;
  const StridedCopy::Axis& last = copy.axes[copy.rank - 1];
  if (last.to != 1 || last.from == 1 || last.n < kWorthTile) return -1;
  for (int i = 0; i + 1 < copy.rank; ++i) {
    if (copy.axes[i].from == 1 && copy.axes[i].n >= kWorthTile) return i;
  }
  return -1;
}

#ifndef __CUDACC__

// ---- on the CPU. Memory sets the pace: built for the baseline alone.

namespace strided {

template <int bytes>
struct Element;
template <>
struct Element<1> {
  typedef uint8_t Type;
};
template <>
struct Element<2> {
  typedef uint16_t Type;
};
template <>
struct Element<4> {
  typedef uint32_t Type;
};
template <>
struct Element<8> {
  typedef uint64_t Type;
};

// An element, and 16 bytes of them, at any address.
template <int bytes>
using Loose __attribute__((aligned(1), may_alias)) = typename Element<bytes>::Type;
template <int bytes>
using Lanes __attribute__((vector_size(16))) = typename Element<bytes>::Type;
template <int bytes>
using LooseLanes __attribute__((vector_size(16), aligned(1), may_alias)) = typename Element<bytes>::Type;

// Calls body(from, to) with the offsets of rows [first, last), which are numbered over the first `rank` axes.
template <class Body>
void for_rows(const StridedCopy& copy, int rank, int64_t first, int64_t last, const Body& body) {
  int64_t at[DT_MAX_RANK + 1] = {}, from = copy.from, to = copy.to, rest = first;
  for (int i = rank - 1; i >= 0; --i) {
    at[i] = rest % copy.axes[i].n;
    rest /= copy.axes[i].n;
    from += at[i] * copy.axes[i].from;
    to += at[i] * copy.axes[i].to;
  }
  for (int64_t row = first; row < last; ++row) {
    body(from, to);
    for (int i = rank - 1; i >= 0; --i) {
      from += copy.axes[i].from;
      to += copy.axes[i].to;
      if (++at[i] < copy.axes[i].n) break;
      from -= at[i] * copy.axes[i].from;
      to -= at[i] * copy.axes[i].to;
      at[i] = 0;
    }
  }
}

// Rows of neighbours: [first, last) of each row.
inline void copy_runs(const StridedCopy& copy, const char* x, char* y, int64_t first_row, int64_t last_row,
                      int64_t first, int64_t last) {
  const size_t n_bytes = static_cast<size_t>((last - first) * copy.bytes);
  for_rows(copy, copy.rank - 1, first_row, last_row, [&](int64_t from, int64_t to) {
    std::memcpy(y + (to + first) * copy.bytes, x + (from + first) * copy.bytes, n_bytes);
  });
}

// Rows of elements that lie apart in x.
template <int bytes>
void copy_elements(const StridedCopy& copy, const char* x, char* y, int64_t first_row, int64_t last_row, int64_t first,
                   int64_t last) {
  typedef Loose<bytes> T;
  const StridedCopy::Axis inner = copy.axes[copy.rank - 1];
  for_rows(copy, copy.rank - 1, first_row, last_row, [&](int64_t from, int64_t to) {
    const T* source = reinterpret_cast<const T*>(x) + from;
    T* target = reinterpret_cast<T*>(y) + to;
    if (inner.to == 1) {
      for (int64_t i = first; i < last; ++i) target[i] = source[i * inner.from];
    } else {
      for (int64_t i = first; i < last; ++i) target[i * inner.to] = source[i * inner.from];
    }
  });
}

template <int bytes>
DOVETAIL_INLINE void interleave(Lanes<bytes> a, Lanes<bytes> b, Lanes<bytes>* low, Lanes<bytes>* high) {
  if constexpr (bytes == 1) {
    *low = __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    *high = __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
  } else if constexpr (bytes == 2) {
    *low = __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11);
    *high = __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15);
  } else if constexpr (bytes == 4) {
    *low = __builtin_shufflevector(a, b, 0, 4, 1, 5);
    *high = __builtin_shufflevector(a, b, 2, 6, 3, 7);
  } else {
    *low = __builtin_shufflevector(a, b, 0, 2);
    *high = __builtin_shufflevector(a, b, 1, 3);
  }
}

// y[j * y_pitch + i] = x[i * x_pitch + j] for i, j < n = 16 / bytes. Interleaving row i with row i + n / 2 moves one
// bit of a cell's row number to the end of its column number; after log2(n) rounds the two have changed places.
template <int bytes>
void transpose_block(const Loose<bytes>* x, int64_t x_pitch, Loose<bytes>* y, int64_t y_pitch) {
  constexpr int n = 16 / bytes;
  Lanes<bytes> rows[n], mixed[n];
#pragma GCC unroll 16
  for (int i = 0; i < n; ++i) rows[i] = *reinterpret_cast<const LooseLanes<bytes>*>(x + i * x_pitch);
#pragma GCC unroll 4
  for (int round = 1; round < n; round *= 2) {
#pragma GCC unroll 8
    for (int i = 0; i < n / 2; ++i) interleave<bytes>(rows[i], rows[i + n / 2], &mixed[2 * i], &mixed[2 * i + 1]);
#pragma GCC unroll 16
    for (int i = 0; i < n; ++i) rows[i] = mixed[i];
  }
#pragma GCC unroll 16
  for (int j = 0; j < n; ++j) *reinterpret_cast<LooseLanes<bytes>*>(y + j * y_pitch) = rows[j];
}

constexpr int64_t tile_of(int64_t bytes) { return 128 / bytes; }  // two cache lines a side

// n_j x n_i elements of which x has neighbours along j, and y along i.
template <int bytes>
void transpose_tile(const Loose<bytes>* x, int64_t x_pitch, Loose<bytes>* y, int64_t y_pitch, int64_t n_j,
                    int64_t n_i) {
  constexpr int64_t n = 16 / bytes;
  const int64_t whole_j = n_j / n * n, whole_i = n_i / n * n;
  for (int64_t j = 0; j < whole_j; j += n) {
    for (int64_t i = 0; i < whole_i; i += n) {
      transpose_block<bytes>(x + i * x_pitch + j, x_pitch, y + j * y_pitch + i, y_pitch);
    }
    for (int64_t k = j; k < j + n; ++k) {
      for (int64_t i = whole_i; i < n_i; ++i) y[k * y_pitch + i] = x[i * x_pitch + k];
    }
  }
  for (int64_t j = whole_j; j < n_j; ++j) {
    for (int64_t i = 0; i < n_i; ++i) y[j * y_pitch + i] = x[i * x_pitch + j];
  }
}

// `copy` without the two axes of the tiles; tiles are numbered row by row, and within a row along j, then i.
template <int bytes>
void copy_tiles(const StridedCopy& copy, StridedCopy::Axis axis_j, StridedCopy::Axis axis_i, const char* x, char* y,
                int64_t first_tile, int64_t last_tile) {
  typedef Loose<bytes> T;
  constexpr int64_t tile = tile_of(bytes);
  const int64_t tiles_j = (axis_j.n + tile - 1) / tile, tiles_i = (axis_i.n + tile - 1) / tile;
  for (int64_t t = first_tile; t < last_tile;) {
    const int64_t row = t / (tiles_j * tiles_i), end = (row + 1) * tiles_j * tiles_i;
    const int64_t last = end < last_tile ? end : last_tile;
    for_rows(copy, copy.rank, row, row + 1, [&](int64_t from, int64_t to) {
      for (; t < last; ++t) {
        const int64_t j = t / tiles_i % tiles_j * tile, i = t % tiles_i * tile;
        const int64_t n_j = axis_j.n - j < tile ? axis_j.n - j : tile, n_i = axis_i.n - i < tile ? axis_i.n - i : tile;
        transpose_tile<bytes>(reinterpret_cast<const T*>(x) + from + i * axis_i.from + j, axis_i.from,
                              reinterpret_cast<T*>(y) + to + j * axis_j.to + i, axis_j.to, n_j, n_i);
      }
    });
  }
}

// Cuts [0, rows) x [0, columns) for the threads: by rows if there are enough of them.
template <class Body>
void parallel_rows(const Run& run, int64_t rows, int64_t columns, int64_t column_work, const Body& body) {
  const double work = static_cast<double>(column_work);
  if (rows >= 4 * run.n_threads()) {
    parallel_ranges(run, rows, work * static_cast<double>(columns), 1,
                    [&](int64_t first, int64_t last) { body(first, last, int64_t{0}, columns); });
  } else {
    parallel_ranges(run, columns, work * static_cast<double>(rows), 64,
                    [&](int64_t first, int64_t last) { body(int64_t{0}, rows, first, last); });
  }
}

template <int bytes>
void copy_of_width(const Run& run, const StridedCopy& copy, const char* x, char* y) {
  const int axis = transposed_axis(copy);
  if (axis < 0) {
    const int64_t columns = copy.axes[copy.rank - 1].n, work = 4 * bytes;
    parallel_rows(run, copy.volume() / columns, columns, work, [&](int64_t r0, int64_t r1, int64_t c0, int64_t c1) {
      copy_elements<bytes>(copy, x, y, r0, r1, c0, c1);
    });
    return;
  }
  constexpr int64_t tile = tile_of(bytes);
  StridedCopy outer = copy;
  outer.rank = 0;
  for (int i = 0; i + 1 < copy.rank; ++i) {
    if (i != axis) outer.axes[outer.rank++] = copy.axes[i];
  }
  const StridedCopy::Axis axis_j = copy.axes[axis], axis_i = copy.axes[copy.rank - 1];
  const int64_t tiles = outer.volume() * ((axis_j.n + tile - 1) / tile) * ((axis_i.n + tile - 1) / tile);
  parallel_ranges(run, tiles, tile * tile * bytes, 1,
                  [&](int64_t first, int64_t last) { copy_tiles<bytes>(outer, axis_j, axis_i, x, y, first, last); });
}

}  // namespace strided

// Copies on the threads of the run.
inline void copy_strided(const Run& run, StridedCopy copy, const void* from, void* to) {
  constexpr int64_t kWorthCall = 16;  // bytes from which on memcpy is quicker than single elements
  const char* x = static_cast<const char*>(from);
  char* y = static_cast<char*>(to);
  collapse(&copy);
  const StridedCopy::Axis* last = copy.rank > 0 ? &copy.axes[copy.rank - 1] : nullptr;
  if (last && last->n == 0) return;
  if (last && last->from == 1 && last->to == 1 && (last->n * copy.bytes > kWorthCall || copy.rank == 1)) {
    strided::parallel_rows(
        run, copy.volume() / last->n, last->n, copy.bytes,
        [&](int64_t r0, int64_t r1, int64_t c0, int64_t c1) { strided::copy_runs(copy, x, y, r0, r1, c0, c1); });
    return;
  }
  widen(&copy, 8);
  if (copy.rank == 0) copy.add(1, 1, 1);
  if (copy.bytes == 1) return strided::copy_of_width<1>(run, copy, x, y);
  if (copy.bytes == 2) return strided::copy_of_width<2>(run, copy, x, y);
  if (copy.bytes == 4) return strided::copy_of_width<4>(run, copy, x, y);
  strided::copy_of_width<8>(run, copy, x, y);
}

#endif

DOVETAIL_CLOSE_NAMESPACE

#endif
