// SPDX-License-Identifier: Apache-2.0
// y[c] = x[start + c * step], axis by axis, for windows that may reach over the edges of x, as in Slice and Padding.
// The description is for all devices, the copying is for the CPU; cuda_copies.hpp copies on GPUs.
#ifndef DOVETAIL_KERNELS_COPY_WINDOWED_COPY_HPP
#define DOVETAIL_KERNELS_COPY_WINDOWED_COPY_HPP

#include "dovetail/detail/host_device.hpp"
#include "kernels/copy/strided_copy.hpp"
#include "kernels/spec/enumerations.hpp"

DOVETAIL_OPEN_NAMESPACE

// What is read beyond the edges of x: nothing, x again, the nearest element, a value, or x mirrored without repeating
// its edge.
enum WindowMode : int32_t { DOVETAIL_SAMPLE_MODE(DOVETAIL_ENUMERATOR, k) };

struct Window {
  struct Axis {
    int64_t n, start, step, count;  // extent of x; first index and distance of the next; extent of y
    int64_t distance;               // of neighbours in x, in blocks
  };
  Axis axes[DT_MAX_RANK];  // outermost first
  int rank = 0;
  int32_t mode = kStrictBounds;
  int64_t block = 1;  // neighbouring elements that are copied together
  int64_t bytes = 1;  // of an element

  int64_t blocks() const {
    int64_t total = 1;
    for (int i = 0; i < rank; ++i) total *= axes[i].count;
    return total;
  }
};

// The index that element c of y reads, -1 where it is filled. Never beyond x, whatever start and step are.
DOVETAIL_HOST_DEVICE inline int64_t source_index(int32_t mode, const Window::Axis& axis, int64_t c) {
  const int64_t at = static_cast<int64_t>(static_cast<uint64_t>(axis.start) +
                                          static_cast<uint64_t>(c) * static_cast<uint64_t>(axis.step));
  const int64_t n = axis.n;
  if (at >= 0 && at < n) return at;
  if (n <= 0 || mode == kFill) return -1;
  if (mode == kWrap) {
    const int64_t rest = at % n;
    return rest < 0 ? rest + n : rest;
  }
  if (mode == kReflect && n > 1) {
    const int64_t period = 2 * (n - 1), rest = at % period, positive = rest < 0 ? rest + period : rest;
    return positive < n ? positive : period - positive;
  }
  return at < 0 ? 0 : n - 1;
}

// Null, or why the window cannot be read.
inline const char* window_fault(const Window& window) {
  bool is_empty = false;
  for (int i = 0; i < window.rank; ++i) is_empty = is_empty || window.axes[i].count == 0;
  for (int i = 0; i < window.rank && !is_empty; ++i) {
    const Window::Axis& axis = window.axes[i];
    if (axis.n == 0 && window.mode != kFill) return "there is nothing to read from an axis of extent 0";
    if (window.mode != kStrictBounds) continue;
    int64_t last = 0;
    if (__builtin_mul_overflow(axis.count - 1, axis.step, &last) || __builtin_add_overflow(last, axis.start, &last)) {
      return "an index does not fit into 64 bits";
    }
    if (axis.start < 0 || axis.start >= axis.n || last < 0 || last >= axis.n) return "it reads beyond the bounds of x";
  }
  return nullptr;
}

// Whole innermost axes, taken as they are, become one block.
inline void join_whole_axes(Window* window) {
  while (window->rank > 0) {
    const Window::Axis& axis = window->axes[window->rank - 1];
    if (axis.start != 0 || axis.step != 1 || axis.n != axis.count || axis.n == 0) return;
    window->block *= axis.n;
    --window->rank;
    for (int i = 0; i < window->rank; ++i) window->axes[i].distance /= axis.n;
  }
}

#ifndef __CUDACC__

// ---- on the CPU

namespace windowed {

// n elements of `value`.
inline void fill(char* y, int64_t n, const void* value, int64_t bytes) {
  if (bytes == 1) {
    std::memset(y, *static_cast<const unsigned char*>(value), static_cast<size_t>(n));
    return;
  }
  for (int64_t i = 0; i < n; ++i) std::memcpy(y + i * bytes, value, static_cast<size_t>(bytes));
}

// Elements of the workspace: where each index of each axis reads, and how many blocks of a row follow each other, a row
// being an axis that join_whole_axes leaves as the last.
inline int64_t table_size(const int64_t* counts, int rank) {
  int64_t total = 0, longest = 0;
  for (int i = 0; i < rank; ++i) {
    total += counts[i];
    longest = counts[i] > longest ? counts[i] : longest;
  }
  return total + longest;
}

struct Tables {
  const int64_t* of_axis[DT_MAX_RANK] = {};
  const int64_t* run = nullptr;
};

inline Tables fill_tables(const Window& window, int64_t* memory) {
  Tables tables;
  for (int i = 0; i < window.rank; ++i) {
    const Window::Axis& axis = window.axes[i];
    for (int64_t c = 0; c < axis.count; ++c) {
      const int64_t index = source_index(window.mode, axis, c);
      memory[c] = index < 0 ? -1 : index * axis.distance;
    }
    tables.of_axis[i] = memory;
    memory += axis.count;
  }
  if (window.rank == 0) return tables;
  const int last = window.rank - 1;
  const int64_t* offsets = tables.of_axis[last];
  for (int64_t c = window.axes[last].count - 1; c >= 0; --c) {
    const bool goes_on =
        c + 1 < window.axes[last].count && (offsets[c] < 0 ? offsets[c + 1] < 0 : offsets[c + 1] == offsets[c] + 1);
    memory[c] = goes_on ? memory[c + 1] + 1 : 1;
  }
  tables.run = memory;
  return tables;
}

// Rows [first, last) of y, numbered over all axes but the last.
inline void copy_rows(const Window& window, const Tables& tables, const char* x, char* y, const void* value,
                      int64_t first, int64_t last) {
  const int inner = window.rank - 1;
  const int64_t count = window.axes[inner].count, bytes = window.block * window.bytes;
  const int64_t* offsets = tables.of_axis[inner];
  for (int64_t row = first; row < last; ++row) {
    char* target = y + row * count * bytes;
    int64_t rest = row, base = 0;
    bool is_filled = false;
    for (int i = inner - 1; i >= 0; --i) {
      const int64_t offset = tables.of_axis[i][rest % window.axes[i].count];
      rest /= window.axes[i].count;
      is_filled = is_filled || offset < 0;
      base += offset;
    }
    if (is_filled) {
      fill(target, count * window.block, value, window.bytes);
      continue;
    }
    for (int64_t c = 0; c < count;) {
      const int64_t run = tables.run[c];
      if (offsets[c] < 0) {
        fill(target + c * bytes, run * window.block, value, window.bytes);
      } else {
        std::memcpy(target + c * bytes, x + (base + offsets[c]) * bytes, static_cast<size_t>(run * bytes));
      }
      c += run;
    }
  }
}

}  // namespace windowed

// Copies on the threads of the run. `value`: the element to fill with. `memory`: windowed::table_size of the
// window's counts.
inline void copy_window(const Run& run, Window window, const void* x, void* y, const void* value, int64_t* memory) {
  if (window.blocks() == 0 || window.block == 0) return;
  join_whole_axes(&window);
  if (window.rank == 0) {
    window.axes[window.rank++] = {1, 0, 1, 1, 1};
    static const int64_t kOnly[] = {0}, kOne[] = {1};
    windowed::Tables tables;
    tables.of_axis[0] = kOnly;
    tables.run = kOne;
    return windowed::copy_rows(window, tables, static_cast<const char*>(x), static_cast<char*>(y), value, 0, 1);
  }
  const windowed::Tables tables = windowed::fill_tables(window, memory);
  const int64_t count = window.axes[window.rank - 1].count;
  const double work = static_cast<double>(count) * static_cast<double>(window.block * window.bytes);
  parallel_ranges(run, window.blocks() / count, work, 1, [&](int64_t first, int64_t last) {
    windowed::copy_rows(window, tables, static_cast<const char*>(x), static_cast<char*>(y), value, first, last);
  });
}

#endif

DOVETAIL_CLOSE_NAMESPACE

#endif
