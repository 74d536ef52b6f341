// SPDX-License-Identifier: Apache-2.0
// The phases of transposed convolutions merged to one convolution (see args.hpp), and the kernel of each phase. A
// convolution has one phase. For rows files.
#ifndef DOVETAIL_KERNELS_CONVOLVE_MERGED_PHASES_HPP
#define DOVETAIL_KERNELS_CONVOLVE_MERGED_PHASES_HPP

#include "kernels/convolve/geometry.hpp"

DOVETAIL_OPEN_NAMESPACE

// Taps of each phase on axis i; 0 if phases differ, or if windows do not begin at neighbours.
inline int64_t winograd_taps(const ConvolveFields& f, int i) {
  if (!f.is_transposed) return f.stride[i] == 1 ? f.kernel[i] : 0;
  if (f.dilation[i] != 1) return 0;
  return f.stride[i] <= kMergedStride && f.kernel[i] % f.stride[i] == 0 ? f.kernel[i] / f.stride[i] : 0;
}

inline int merged_phases(const ConvolveFields& f, int i) { return f.is_transposed ? static_cast<int>(f.stride[i]) : 1; }

// Distance of the first input of output 0's window from input 0: taps of a transposed convolution run backwards.
inline int64_t first_of_window(const ConvolveAxis& axis) {
  return axis.off_step < 0 ? axis.off_first - (axis.taps - 1) : axis.off_first;
}

// The phases of axis i into `phase`, and the axis as that of one convolution whose outputs are numbered for all of them.
inline ConvolveAxis merged_axis(const ConvolveFields& f, int i, int64_t in, int64_t out, MergedPhase* phase) {
  const int n = merged_phases(f, i);
  ConvolveAxis merged = convolve_axis(f, i, in, out, 0);
  merged.off_first = first_of_window(merged);
  for (int p = 1; p < n; ++p) {
    const int64_t first = first_of_window(convolve_axis(f, i, in, out, p));
    if (first < merged.off_first) merged.off_first = first;
  }
  merged.off_step = merged.off_step < 0 ? -merged.off_step : merged.off_step;
  merged.count = 0;
  for (int p = 0; p < n; ++p) {
    const ConvolveAxis axis = convolve_axis(f, i, in, out, p);
    if (axis.taps > merged.taps) merged.taps = axis.taps;
    phase[p] = {axis.out_first, axis.count, first_of_window(axis) - merged.off_first};
    if (axis.count > 0 && axis.count + phase[p].shift > merged.count) merged.count = axis.count + phase[p].shift;
  }
  return merged;
}

// [maps, channels, taps, taps] of one group and phase.
inline void kernel_of_phase(const RawWeights& w, const ConvolveAxis& rows, const ConvolveAxis& columns, int64_t group,
                            float* to) {
  const auto element = [](const ConvolveAxis& axis, int64_t k) {
    return axis.tap_first + (axis.off_step < 0 ? axis.taps - 1 - k : k) * axis.tap_step;
  };
  for (int64_t m = 0; m < w.maps; ++m) {
    for (int64_t c = 0; c < w.channels; ++c) {
      for (int64_t h = 0; h < rows.taps; ++h) {
        for (int64_t k = 0; k < columns.taps; ++k)
          *to++ = raw_float(w, group, c, m, element(rows, h) * w.extent[2] + element(columns, k));
      }
    }
  }
}

DOVETAIL_CLOSE_NAMESPACE

#endif
