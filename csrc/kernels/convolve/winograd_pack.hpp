// SPDX-License-Identifier: Apache-2.0
// The transformed kernels of Winograd's convolution, G g Gt: [panel of maps][position][channel][maps of the panel], zeros
// where there is no map.
#ifndef DOVETAIL_KERNELS_CONVOLVE_WINOGRAD_PACK_HPP
#define DOVETAIL_KERNELS_CONVOLVE_WINOGRAD_PACK_HPP

#include "kernels/convolve/winograd_transform.hpp"

namespace DT_ISA {
namespace {

// Rows of G: the powers of a point over the product of its distances from the other points; infinity is the last one.
template <int pairs, int taps>
struct KernelTransform {
  static constexpr int t = Winograd<pairs, taps>::kInputs;
  double row[t][taps] = {};

  KernelTransform() {
    double points[t] = {0};
    for (int i = 0; i < pairs; ++i) {
      points[1 + 2 * i] = Winograd<pairs, taps>::point(i);
      points[2 + 2 * i] = -points[1 + 2 * i];
    }
    for (int i = 0; i < t - 1; ++i) {
      double distances = 1;
      for (int j = 0; j < t - 1; ++j) distances *= j == i ? 1 : points[i] - points[j];
      for (int k = 0; k < taps; ++k) row[i][k] = (k == 0 ? 1 : k == 1 ? points[i] : points[i] * points[i]) / distances;
    }
    row[t - 1][taps - 1] = 1;
  }
};

// Row i of G times a column of taps.
template <int pairs, int taps>
inline __attribute__((always_inline)) double weigh_taps(const KernelTransform<pairs, taps>& g, int i, const double* tap,
                                                        int64_t step) {
  double sum = g.row[i][0] * tap[0];
#pragma GCC unroll 3
  for (int k = 1; k < taps; ++k) sum += g.row[i][k] * tap[k * step];
  return sum;
}

// One channel of a panel: sums in float64, since these errors would come on top of those of the other transforms.
template <int pairs, int taps>
void pack_channel(const double (&kernel)[taps * taps][kWinogradPanel], const KernelTransform<pairs, taps>& g, float* to,
                  int64_t position) {
  constexpr int t = Winograd<pairs, taps>::kInputs, n = kWinogradPanel;
  double columns[taps][n];
  for (int i = 0; i < t; ++i) {
    for (int j = 0; j < taps; ++j) {
      for (int m = 0; m < n; ++m) columns[j][m] = weigh_taps(g, i, &kernel[j][m], taps * n);
    }
    for (int j = 0; j < t; ++j, to += position) {
      for (int m = 0; m < n; ++m) to[m] = static_cast<float>(weigh_taps(g, j, &columns[0][m], n));
    }
  }
}

template <int pairs, int taps>
void pack_panels(const float* kernel, int64_t maps, int64_t channels, float* to) {
  constexpr int64_t n = kWinogradPanel, all = taps * taps;
  const KernelTransform<pairs, taps> g;
  double tap[all][n];
  for (int64_t first = 0; first < maps; first += n, to += Winograd<pairs, taps>::kPositions * channels * n) {
    for (int64_t c = 0; c < channels; ++c) {
      for (int64_t m = 0; m < n; ++m) {
        const float* from = kernel + ((first + m) * channels + c) * all;
        for (int k = 0; k < all; ++k) tap[k][m] = first + m < maps ? static_cast<double>(from[k]) : 0.0;
      }
      pack_channel<pairs, taps>(tap, g, to + c * n, channels * n);
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
