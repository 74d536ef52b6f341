// SPDX-License-Identifier: Apache-2.0
// Windows of Pooling, for every device.
#ifndef DOVETAIL_PLUGINS_POOLING_WINDOWS_HPP
#define DOVETAIL_PLUGINS_POOLING_WINDOWS_HPP

#include <stdint.h>

#include "dovetail/detail/host_device.hpp"
#include "kernels/simd/vec.hpp"
#include "kernels/spec/enumerations.hpp"

enum PoolingKind : int32_t { DOVETAIL_POOLING_TYPE(DOVETAIL_ENUMERATOR, kPool) };

// Output o has the cells [o * stride - before, ... + window) of the input; `after` is the padding behind.
struct PoolAxis {
  int64_t in, out, window, stride, before, after;
};

struct PoolingArgs {
  const void* x;
  void* y;
  int32_t x_type, y_type;
  int32_t kind;
  bool excludes_padding;
  float blend;
  float scale;  // of the result; not 1 only from int8 to float32
  int64_t planes;
  PoolAxis axis[3];
};

namespace DT_ISA {

DOVETAIL_HOST_DEVICE static inline int64_t first_cell(const PoolAxis& axis, int64_t o) {
  return o * axis.stride - axis.before;
}
// Cells inside the input: [low, high).
DOVETAIL_HOST_DEVICE static inline int64_t low_cell(const PoolAxis& axis, int64_t o) {
  return first_cell(axis, o) < 0 ? 0 : first_cell(axis, o);
}
DOVETAIL_HOST_DEVICE static inline int64_t high_cell(const PoolAxis& axis, int64_t o) {
  const int64_t end = first_cell(axis, o) + axis.window;
  return end < axis.in ? end : axis.in;
}
// Cells that count in an average, 1 at least.
DOVETAIL_HOST_DEVICE static inline int64_t counted_cells(const PoolAxis& axis, int64_t o, bool excludes_padding) {
  const int64_t end = excludes_padding ? axis.in : axis.in + axis.after, window_end = first_cell(axis, o) + axis.window;
  const int64_t first = excludes_padding ? low_cell(axis, o) : first_cell(axis, o);
  const int64_t n = (window_end < end ? window_end : end) - first;
  return n < 1 ? 1 : n;
}

}  // namespace DT_ISA

#endif
