// SPDX-License-Identifier: Apache-2.0
// The algorithm of OneHot, compiled once per instruction set. Elements are moved as integers of their width.
#ifndef DOVETAIL_PLUGINS_ONE_HOT_CPU_GENERIC_HPP
#define DOVETAIL_PLUGINS_ONE_HOT_CPU_GENERIC_HPP

#include "cpu_kernels.hpp"
#include "kernels/simd/vec.hpp"

namespace DT_ISA {
namespace {

template <class Index, class T>
void rows_of(const OneHotArgs& args, int64_t first, int64_t last) {
  const T off = static_cast<const T*>(args.values)[0], on = static_cast<const T*>(args.values)[1];
  const Index* indices = static_cast<const Index*>(args.indices);
  T* y = static_cast<T*>(args.y);
  if (args.inner == 1) {  // rows of one element: those of one index are neighbours
    for (int64_t n; first < last; first += n) {
      const int64_t outer = first / args.depth, place = first % args.depth;
      n = args.depth - place < last - first ? args.depth - place : last - first;
      for (int64_t i = 0; i < n; ++i) y[first + i] = off;
      int64_t at = static_cast<int64_t>(indices[outer]);
      if (at < 0 && at >= -args.depth) at += args.depth;
      if (at >= place && at < place + n) y[first + at - place] = on;
    }
    return;
  }
  for (int64_t row = first; row < last; ++row) {
    const Index place = static_cast<Index>(row % args.depth), from_end = static_cast<Index>(place - args.depth);
    const Index* index = indices + row / args.depth * args.inner;
    T* to = y + row * args.inner;
    for (int64_t i = 0; i < args.inner; ++i) to[i] = (index[i] == place) | (index[i] == from_end) ? on : off;
  }
}

template <class T>
void rows_of(const OneHotArgs& args, int64_t first, int64_t last) {
  args.indices_are_64 ? rows_of<int64_t, T>(args, first, last) : rows_of<int32_t, T>(args, first, last);
}

}  // namespace

void one_hot(const OneHotArgs& args, int64_t first, int64_t last) {
  switch (args.element_bytes) {
    case 1:
      return rows_of<uint8_t>(args, first, last);
    case 2:
      return rows_of<uint16_t>(args, first, last);
    case 4:
      return rows_of<uint32_t>(args, first, last);
    default:
      return rows_of<uint64_t>(args, first, last);
  }
}

}  // namespace DT_ISA

#endif
