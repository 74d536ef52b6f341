// SPDX-License-Identifier: Apache-2.0
// The transformed kernels of Winograd's convolution, G g Gt: [panel of maps][position][channel][maps of the panel], zeros
// where there is no map.
#ifndef DOVETAIL_KERNELS_CONVOLVE_WINOGRAD_PACK_HPP
#define DOVETAIL_KERNELS_CONVOLVE_WINOGRAD_PACK_HPP

#include "kernels/convolve/winograd_transform.hpp"
#include "kernels/simd/transpose.hpp"

namespace DT_ISA {
namespace {

// In float64, since errors of this transform would come on top of those of the other ones; half as many as of floats.
constexpr int kDoubles = kLanes / 2;
typedef double VecD __attribute__((vector_size(8 * kDoubles)));
typedef float VecHalf __attribute__((vector_size(4 * kDoubles)));

// The maps of one panel.
struct alignas(64) PanelRow {
  static constexpr int kVectors = static_cast<int>(kWinogradPanel) / kDoubles;
  VecD v[kVectors];

  void widen(const float* from) {
    for (int i = 0; i < kVectors; ++i) {
      VecHalf half;
      memcpy(&half, from + i * kDoubles, sizeof half);
      v[i] = __builtin_convertvector(half, VecD);
    }
  }
  static void narrow(VecD from, int i, float* to) {
    const VecHalf half = __builtin_convertvector(from, VecHalf);
    memcpy(to + i * kDoubles, &half, sizeof half);
  }
};

// A row of G holds the powers of a point over the product of its distances from the other points, which is the same for
// +a and -a; infinity is the last one.
template <int pairs, int taps>
struct KernelTransform {
  typedef Winograd<pairs, taps> F;
  static constexpr int t = F::kInputs;

  // Of the points of pair i; of 0 where i is -1.
  static constexpr double over_distances(int i) {
    const double a = i < 0 ? 0 : F::point(i);
    double distances = 1;
    for (int j = 0; j < pairs; ++j) {
      const double b = F::point(j);
      distances *= j == i ? 2 * a * a : a * a - b * b;
    }
    return 1 / distances;
  }

  template <int i, class Take>
  static inline __attribute__((always_inline)) void of_pairs(const PanelRow* const* k, const Take& take) {
    if constexpr (i < pairs) {
      constexpr double a = F::point(i), c = over_distances(i);
      for (int m = 0; m < PanelRow::kVectors; ++m) {
        const VecD odd = k[1]->v[m] * (c * a);
        VecD even = k[0]->v[m] * c;
        if constexpr (taps == 3) even += k[2]->v[m] * (c * a * a);
        take(1 + 2 * i, m, even + odd);
        take(2 + 2 * i, m, even - odd);
      }
      of_pairs<i + 1>(k, take);
    }
  }
  // G k, handed to take(row, vector, value): rows one after the other, since each goes to a memory of its own.
  template <class Take>
  static inline __attribute__((always_inline)) void of(const PanelRow* const* k, const Take& take) {
    for (int m = 0; m < PanelRow::kVectors; ++m) take(0, m, k[0]->v[m] * over_distances(-1));
    of_pairs<0>(k, take);
    for (int m = 0; m < PanelRow::kVectors; ++m) take(t - 1, m, k[taps - 1]->v[m]);
  }
};

// One channel of a panel, from[taps * taps][maps of the panel].
template <int pairs, int taps>
void pack_channel(const float* from, float* to, int64_t position) {
  typedef KernelTransform<pairs, taps> G;
  PanelRow columns[G::t][taps];
  for (int j = 0; j < taps; ++j) {
    PanelRow column[taps];
    const PanelRow* k[taps];
    for (int i = 0; i < taps; ++i) {
      column[i].widen(from + (taps * i + j) * kWinogradPanel);
      k[i] = column + i;
    }
    G::of(k, [&](int i, int m, VecD value) { columns[i][j].v[m] = value; });
  }
  for (int i = 0; i < G::t; ++i, to += G::t * position) {
    const PanelRow* k[taps];
    for (int j = 0; j < taps; ++j) k[j] = columns[i] + j;
    G::of(k, [&](int j, int m, VecD value) { PanelRow::narrow(value, m, to + j * position); });
  }
}

// to[n][maps of the panel] of maps whose first n taps lie `row` floats apart; zeros where there is no map.
inline void gather_taps(const float* kernel, int64_t row, int64_t maps, int64_t n, float* to) {
  constexpr int64_t panel = kWinogradPanel;
  for (int64_t m = 0; m < panel; m += kLanes) {
    for (int64_t i = 0; i < n; i += kLanes) {
      if (m + kLanes <= maps && i + kLanes <= n) {
        transpose_square(kernel + m * row + i, row, to + i * panel + m, panel);
        continue;
      }
      for (int64_t tap = i; tap < n && tap < i + kLanes; ++tap) {
        for (int64_t map = m; map < m + kLanes; ++map)
          to[tap * panel + map] = map < maps ? kernel[map * row + tap] : 0.0f;
      }
    }
  }
}

template <int pairs, int taps>
void pack_panels(const float* kernel, int64_t maps, int64_t channels, float* to) {
  constexpr int64_t n = kWinogradPanel, all = taps * taps, block = 16;
  float room[all * block * n];
  for (int64_t first = 0; first < maps; first += n, to += Winograd<pairs, taps>::kPositions * channels * n) {
    for (int64_t c = 0; c < channels; c += block) {
      const int64_t here = channels - c < block ? channels - c : block;
      gather_taps(kernel + (first * channels + c) * all, channels * all, maps - first, here * all, room);
      for (int64_t k = 0; k < here; ++k) pack_channel<pairs, taps>(room + k * all * n, to + (c + k) * n, channels * n);
    }
  }
}

}  // namespace

void winograd_pack(const float* kernel, int64_t maps, int64_t channels, int pairs, int taps, float* to) {
  const auto run = taps == 2    ? pairs == 1 ? pack_panels<1, 2> : pack_panels<2, 2>
                   : pairs == 1 ? pack_panels<1, 3>
                   : pairs == 2 ? pack_panels<2, 3>
                                : pack_panels<3, 3>;
  run(kernel, maps, channels, to);
}

}  // namespace DT_ISA

#endif
