// SPDX-License-Identifier: Apache-2.0
// The algorithm of GridSample, compiled once per instruction set: what some places are made of is worked out once for
// all channels.
#ifndef DOVETAIL_PLUGINS_GRID_SAMPLE_CPU_GENERIC_HPP
#define DOVETAIL_PLUGINS_GRID_SAMPLE_CPU_GENERIC_HPP

#include "cpu_kernels.hpp"
#include "kernels/simd/convert.hpp"

namespace DT_ISA {
namespace {

constexpr int64_t kN = kGridColumns;

// Offsets into one channel of x, and weights, for each tap of some places.
struct Taps {
  int64_t n = 0;  // taps
  int32_t cells[64 * kN];
  float weights[64 * kN];
};

void taps_of(const GridSampleArgs& args, int64_t first_place, int64_t n, Taps& taps) {
  float places[3 * kN];
  const int dims = args.n_spatial;
  load_floats(args.grid, args.grid_type, first_place * dims, places, n * dims);
  const int32_t each = grid_taps(args.rule.mode);
  taps.n = 1;
  for (int64_t i = 0; i < n; ++i) {
    taps.cells[i] = 0;
    taps.weights[i] = 1;
  }
  for (int axis = 0; axis < dims; ++axis) {
    int32_t cells[4 * kN];
    float weights[4 * kN];
    for (int64_t i = 0; i < n; ++i) {
      grid_axis(places[i * dims + dims - 1 - axis], args.size[axis], args.rule, cells + i, weights + i, kN);
    }
    for (int64_t k = taps.n * each - 1; k >= 0; --k) {  // from the end, so that none is overwritten before its use
      const int64_t old = k / each * kN, tap = k % each * kN;
      for (int64_t i = 0; i < n; ++i) {
        taps.cells[k * kN + i] = taps.cells[old + i] * args.size[axis] + cells[tap + i];
        taps.weights[k * kN + i] = taps.weights[old + i] * weights[tap + i];
      }
    }
    taps.n *= each;
  }
}

void sums_of(const float* x, const Taps& taps, int64_t n, float* __restrict__ sums) {
  for (int64_t i = 0; i < n; ++i) sums[i] = 0;
  for (int64_t k = 0; k < taps.n; ++k) {
    const int32_t* c = taps.cells + k * kN;
    const float* w = taps.weights + k * kN;
#pragma GCC ivdep
    for (int64_t i = 0; i < n; ++i) sums[i] += w[i] * x[c[i]];
  }
}

void sums_of(const uint16_t* x, int32_t type, const Taps& taps, int64_t n, float* __restrict__ sums) {
  uint16_t halves[kN];
  float values[kN];
  for (int64_t i = 0; i < n; ++i) sums[i] = 0;
  for (int64_t k = 0; k < taps.n; ++k) {
    const int32_t* c = taps.cells + k * kN;
    const float* w = taps.weights + k * kN;
    for (int64_t i = 0; i < n; ++i) halves[i] = x[c[i]];
    load_floats(halves, type, 0, values, n);
    for (int64_t i = 0; i < n; ++i) sums[i] += w[i] * values[i];
  }
}

template <class T>
void move_cells(const T* x, T* y, const Taps& taps, int64_t n) {
  for (int64_t i = 0; i < n; ++i) y[i] = taps.weights[i] != 0 ? x[taps.cells[i]] : T(0);
}

void channel(const GridSampleArgs& args, int64_t from, int64_t to, const Taps& taps, int64_t n) {
  const char* x = static_cast<const char*>(args.x) + from * args.element_bytes;
  char* y = static_cast<char*>(args.y) + to * args.element_bytes;
  if (args.rule.mode == kGridNearest) {
    switch (args.element_bytes) {
      case 1:
        return move_cells(reinterpret_cast<const uint8_t*>(x), reinterpret_cast<uint8_t*>(y), taps, n);
      case 2:
        return move_cells(reinterpret_cast<const uint16_t*>(x), reinterpret_cast<uint16_t*>(y), taps, n);
      case 4:
        return move_cells(reinterpret_cast<const uint32_t*>(x), reinterpret_cast<uint32_t*>(y), taps, n);
      default:
        return move_cells(reinterpret_cast<const uint64_t*>(x), reinterpret_cast<uint64_t*>(y), taps, n);
    }
  }
  if (args.type == kF32) return sums_of(reinterpret_cast<const float*>(x), taps, n, reinterpret_cast<float*>(y));
  float sums[kN];
  sums_of(reinterpret_cast<const uint16_t*>(x), args.type, taps, n, sums);
  store_floats(sums, y, args.type, 0, n);
}

}  // namespace

void grid_sample(const GridSampleArgs& args, int64_t first, int64_t last) {
  Taps taps;
  const int64_t units = args.units_of_image();
  int64_t volume = 1;
  for (int i = 0; i < args.n_spatial; ++i) volume *= args.size[i];
  for (int64_t unit = first; unit < last; ++unit) {
    const int64_t image = unit / units, place = unit % units * kN;
    const int64_t n = args.places - place < kN ? args.places - place : kN;
    taps_of(args, image * args.places + place, n, taps);
    for (int64_t c = image * args.channels; c < (image + 1) * args.channels; ++c) {
      channel(args, c * volume, c * args.places + place, taps, n);
    }
  }
}

}  // namespace DT_ISA

#endif
