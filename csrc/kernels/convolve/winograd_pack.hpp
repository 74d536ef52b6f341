// SPDX-License-Identifier: Apache-2.0
// The transformed kernels of Winograd's convolution, G g Gt: [panel of maps][position][channel][maps of the panel], zeros
// where there is no map.
#ifndef DOVETAIL_KERNELS_CONVOLVE_WINOGRAD_PACK_HPP
#define DOVETAIL_KERNELS_CONVOLVE_WINOGRAD_PACK_HPP

#include "kernels/convolve/winograd_transform.hpp"

namespace DT_ISA {
namespace {

// Rows of G: the powers of a point over the product of its distances from the other points; infinity is the last one.
template <int pairs>
struct KernelTransform {
  static constexpr int t = Winograd<pairs>::kInputs;
  double row[t][3] = {};

  KernelTransform() {
    double points[t] = {0};
    for (int i = 0; i < pairs; ++i) {
      points[1 + 2 * i] = Winograd<pairs>::point(i);
      points[2 + 2 * i] = -points[1 + 2 * i];
    }
    for (int i = 0; i < t - 1; ++i) {
      double distances = 1;
      for (int j = 0; j < t - 1; ++j) distances *= j == i ? 1 : points[i] - points[j];
      for (int k = 0; k < 3; ++k) row[i][k] = (k == 0 ? 1 : k == 1 ? points[i] : points[i] * points[i]) / distances;
    }
    row[t - 1][2] = 1;
  }
};

// One channel of a panel: sums in float64, since these errors would come on top of those of the other transforms.
template <int pairs>
void pack_channel(const double (&kernel)[9][kWinogradPanel], const KernelTransform<pairs>& g, float* to,
                  int64_t position) {
  constexpr int t = Winograd<pairs>::kInputs, n = kWinogradPanel;
  double columns[3][n];
  for (int i = 0; i < t; ++i) {
    for (int j = 0; j < 3; ++j) {
      for (int m = 0; m < n; ++m)
        columns[j][m] = g.row[i][0] * kernel[j][m] + g.row[i][1] * kernel[3 + j][m] + g.row[i][2] * kernel[6 + j][m];
    }
    for (int j = 0; j < t; ++j, to += position) {
      for (int m = 0; m < n; ++m) {
        const double sum = g.row[j][0] * columns[0][m] + g.row[j][1] * columns[1][m] + g.row[j][2] * columns[2][m];
        to[m] = static_cast<float>(sum);
      }
    }
  }
}

template <int pairs>
void pack_panels(const float* kernel, int64_t maps, int64_t channels, float* to) {
  constexpr int64_t n = kWinogradPanel;
  const KernelTransform<pairs> g;
  double taps[9][n];
  for (int64_t first = 0; first < maps; first += n, to += Winograd<pairs>::kPositions * channels * n) {
    for (int64_t c = 0; c < channels; ++c) {
      for (int64_t m = 0; m < n; ++m) {
        const float* from = kernel + ((first + m) * channels + c) * 9;
        for (int tap = 0; tap < 9; ++tap) taps[tap][m] = first + m < maps ? static_cast<double>(from[tap]) : 0.0;
      }
      pack_channel<pairs>(taps, g, to + c * n, channels * n);
    }
  }
}

}  // namespace

void winograd_pack(const float* kernel, int64_t maps, int64_t channels, int pairs, float* to) {
  const auto run = pairs == 1 ? pack_panels<1> : pairs == 2 ? pack_panels<2> : pack_panels<3>;
  run(kernel, maps, channels, to);
}

}  // namespace DT_ISA

#endif
