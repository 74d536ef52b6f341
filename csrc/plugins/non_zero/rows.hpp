// SPDX-License-Identifier: Apache-2.0
// What the rows of NonZero have in common on all devices. Elements are looked at as integers of their width.
#ifndef DOVETAIL_PLUGINS_NON_ZERO_ROWS_HPP
#define DOVETAIL_PLUGINS_NON_ZERO_ROWS_HPP

#include "dovetail/detail/host_device.hpp"
#include "non_zero.hpp"

#define ANY "f32|f16|bf16|i32|i64|i8|u8|b8"
#define PER_TYPE(x) x "|" x "|" x "|" x "|" x "|" x "|" x "|" x
constexpr char kTypes32[] = ANY " -> " PER_TYPE("i32") " " PER_TYPE("i32");
constexpr char kTypes64[] = ANY " -> " PER_TYPE("i64") " " PER_TYPE("i64");
#undef ANY
#undef PER_TYPE

// The bits that make an element of `bits` something else than zero: -0 is zero, so the sign of floats does not count.
inline uint64_t non_zero_mask(dovetail::DataType type) {
  switch (type) {
    case dovetail::DataType::kFLOAT:
      return 0x7fffffffu;
    case dovetail::DataType::kHALF:
    case dovetail::DataType::kBF16:
      return 0x7fffu;
    default:
      return ~uint64_t{0};
  }
}

struct NonZeroExtents {
  int64_t dims[DT_MAX_RANK];
  int32_t rank;
};

inline NonZeroExtents non_zero_extents(const dovetail::Tensor& x) {
  NonZeroExtents extents = {};
  extents.rank = x.rank();
  for (int axis = 0; axis < x.rank(); ++axis) extents.dims[axis] = x.extent(axis);
  return extents;
}

// Writes the coordinates of element `at` to place `k` of rows that are `count` apart.
template <class Index>
DOVETAIL_HOST_DEVICE inline void put_coordinates(const NonZeroExtents& extents, int64_t at, int64_t k, int64_t count,
                                                 Index* y) {
  for (int axis = extents.rank - 1; axis >= 0; --axis) {
    const int64_t outer = at / extents.dims[axis];
    y[axis * count + k] = static_cast<Index>(at - outer * extents.dims[axis]);
    at = outer;
  }
}

#endif
