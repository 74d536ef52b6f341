// SPDX-License-Identifier: Apache-2.0
// Convolution of linear bfloat16 tensors with an instruction that adds products of pairs of channels; sums are float32.
#ifndef DOVETAIL_KERNELS_CONVOLVE_BF16_HPP
#define DOVETAIL_KERNELS_CONVOLVE_BF16_HPP

#include "kernels/convolve/pairs.hpp"

namespace DT_ISA {

static_assert(kTerms == 2, "only for instruction sets that multiply pairs of bfloat16");

// As convolve_gemm; weights are [panel][taps, pairs of channels][maps of the panel][2]; scratch has as many pairs,
// kTile each.
void convolve_bf16(const ConvolveArgs& args, int64_t first, int64_t last, int64_t first_panel, int64_t last_panel,
                   void* scratch) {
  const int64_t pairs = taps_of(args) * ((args.channels + 1) / 2);
  const int64_t panels = (args.maps + args.panel - 1) / args.panel;
  const float* weights = static_cast<const float*>(args.weights);  // a pair takes the room of a float
  float* b = static_cast<float*>(scratch);
  float out[kConvolvePanel * kTile];
  Tile tile;
  for (int64_t item = first; item < last; ++item) {
    tile.locate(args, item);
    gather_pairs<uint16_t>(args, tile, static_cast<uint16_t*>(scratch));
    const Multiply run = multiply_for<kConvolvePanel>(args.panel, tile.n > kLanes);
    for (int64_t p = first_panel; p < last_panel; ++p) {
      multiply_in_blocks<kConvolvePanel>(run, args.panel, weights + (tile.group * panels + p) * pairs * args.panel, b,
                                         pairs, out);
      const int64_t first_map = p * args.panel, left = args.maps - first_map;
      const int64_t n_maps = left < args.panel ? left : args.panel;
      for (int64_t m = 0; args.bias && m < n_maps; ++m) {
        const float bias = args.bias[tile.group * args.maps + first_map + m];
        for (int i = 0; i < tile.n; ++i) out[m * kTile + i] += bias;
      }
      tile.finish(args, first_map, n_maps, out);
      for (int64_t m = 0; m < n_maps; ++m) tile.write(args, first_map + m, out + m * kTile);
    }
  }
}

}  // namespace DT_ISA

#endif
