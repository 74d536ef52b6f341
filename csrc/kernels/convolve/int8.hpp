// SPDX-License-Identifier: Apache-2.0
// Convolution of linear INT8 tensors with exact int32 sums, y in float32. Inputs and weights are held as pairs of
// 16-bit integers, of which the machine multiplies and adds two in each 32-bit lane: [taps, channels / 2, kTile, 2].
#ifndef DOVETAIL_KERNELS_CONVOLVE_INT8_HPP
#define DOVETAIL_KERNELS_CONVOLVE_INT8_HPP

#include "kernels/convolve/pairs.hpp"
#include "kernels/simd/pairs.hpp"

namespace DT_ISA {
namespace {

template <int m, int v>
void multiply_int8(const int16_t* a, const int16_t* b, int64_t pairs, int32_t* out) {
  VecI sum[m][v];
#pragma GCC unroll 16
  for (int i = 0; i < m; ++i) {
#pragma GCC unroll 2
    for (int j = 0; j < v; ++j) sum[i][j] = VecI{};
  }
  for (int64_t k = 0; k < pairs; ++k, a += 2 * m, b += 2 * kTile) {
    VecI x[v];
#pragma GCC unroll 2
    for (int j = 0; j < v; ++j) x[j] = *reinterpret_cast<const VecIUnaligned*>(b + 2 * j * kLanes);
#pragma GCC unroll 16
    for (int i = 0; i < m; ++i) {
      int32_t pair;
      memcpy(&pair, a + 2 * i, 4);
      const VecI w = VecI{} + pair;
#pragma GCC unroll 2
      for (int j = 0; j < v; ++j) sum[i][j] = add_pairs(sum[i][j], w, x[j]);
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < m; ++i) {
#pragma GCC unroll 2
    for (int j = 0; j < v; ++j) *reinterpret_cast<VecIUnaligned*>(out + i * kTile + j * kLanes) = sum[i][j];
  }
}

typedef void (*MultiplyInt8)(const int16_t* a, const int16_t* b, int64_t pairs, int32_t* out);

template <int m>
inline MultiplyInt8 multiply_int8_for(int64_t panel, bool is_wide) {
  if (panel == m) return is_wide ? multiply_int8<m, 2> : multiply_int8<m, 1>;
  return multiply_int8_for<m - 1>(panel, is_wide);
}
template <>
inline MultiplyInt8 multiply_int8_for<0>(int64_t, bool) {
  return nullptr;
}

}  // namespace

// As convolve_gemm; weights are [panel][taps, pairs of channels][maps of the panel][2]; scratch has as many
// pairs of int16, kTile each.
void convolve_int8(const ConvolveArgs& args, int64_t first, int64_t last, int64_t first_panel, int64_t last_panel,
                   void* scratch) {
  const int64_t pairs = taps_of(args) * ((args.channels + 1) / 2);
  const int64_t panels = (args.maps + args.panel - 1) / args.panel;
  int16_t* b = static_cast<int16_t*>(scratch);
  int32_t out[kConvolvePanel * kTile];
  float rows[kConvolvePanel * kTile];
  Tile tile;
  for (int64_t item = first; item < last; ++item) {
    tile.locate(args, item);
    gather_pairs<int8_t>(args, tile, b);
    const MultiplyInt8 run = multiply_int8_for<kConvolvePanel>(args.panel, tile.n > kLanes);
    for (int64_t p = first_panel; p < last_panel; ++p) {
      run(static_cast<const int16_t*>(args.weights) + (tile.group * panels + p) * pairs * 2 * args.panel, b, pairs,
          out);
      const int64_t first_map = p * args.panel, left = args.maps - first_map;
      const int64_t n_maps = left < args.panel ? left : args.panel;
      for (int64_t m = 0; m < n_maps; ++m) {
        const float bias = args.bias ? args.bias[tile.group * args.maps + first_map + m] : 0.0f;
        float* const row = rows + m * kTile;
        for (int i = 0; i < tile.n; ++i) row[i] = static_cast<float>(out[m * kTile + i]) * args.scale + bias;
      }
      tile.finish(args, first_map, n_maps, rows);
      for (int64_t m = 0; m < n_maps; ++m) tile.write(args, first_map + m, rows + m * kTile);
    }
  }
}

}  // namespace DT_ISA

#endif
