// SPDX-License-Identifier: Apache-2.0
// Arguments of Winograd's convolution F(m x m, r x r): m x m outputs of an r x r kernel that moves by one are computed
// from the t x t inputs of their tile, t = m + r - 1, with one product for each of these inputs instead of r^2 m^2:
//
//   Y = At [sum over channels of (G g Gt) * (Bt d B)] A,  with * the product of elements
//
// Bt d B is the transformed tile, G g Gt the transformed kernel, which is made when a plan is built. The matrices are
// those of interpolation at t - 1 points and infinity; Bt depends on t alone. Source: Lavin and Gray, "Fast algorithms for convolutional
// neural networks", CVPR 2016.
//
// Of a dilated convolution the inputs of a tile, and so its outputs, are as far apart as the taps.
//
// A transposed convolution whose kernel is r times as long as its stride is one of these for each phase. Tiles are
// transformed once for all phases, merged as in args.hpp.
#ifndef DOVETAIL_KERNELS_CONVOLVE_WINOGRAD_ARGS_HPP
#define DOVETAIL_KERNELS_CONVOLVE_WINOGRAD_ARGS_HPP

#include "kernels/convolve/args.hpp"

// The points are 0 and these with both signs, t / 2 - 1 of them: a pair of points shares half of its operations.
// For t = 6 the points 3/4 and 3/2 leave a third of the rounding error of the usual 1 and 2, little more than a plain
// sum has; for t = 8 nothing was found that is better than 1/2, 1 and 2. All are exact, and so are their squares.
constexpr int kWinogradPairs = 3;  // at most
constexpr double kWinogradPoints[kWinogradPairs][kWinogradPairs] = {{1}, {0.75, 1.5}, {0.5, 1, 2}};

struct WinogradArgs {
  ConvolveArgs of;  // weights: [group][phase][panel of maps][position][channel][maps of the panel]
  int pairs, taps;  // t / 2 - 1 and r
  int64_t tiles_h, tiles_w;
  int phases[2];  // of rows and of columns: one each of a convolution
  MergedPhase phase[2][kMergedStride];
  int64_t block;                       // tiles that are computed together
  float* inputs;                       // transformed: [position][block of channels][block][16]
  float* products;                     // of one panel: [position][block of maps][block][16]
  int64_t input_pitch, product_pitch;  // of positions
};

// Each of a group's tiles [first, first + n), numbered over images, rows and columns; n <= args.block. The first two
// functions run one after the other: `transform` fills `inputs`, of blocks of channels [first_block, last_block);
// `multiply` computes panels [first_panel, last_panel), those of phase 0 first, of y from them. `pack` transforms the
// kernel [maps, channels, taps, taps] of one group and phase.
DOVETAIL_KERNELS(void winograd_transform(const WinogradArgs& args, int64_t group, int64_t first, int64_t n,
                                         int64_t first_block, int64_t last_block);
                 void winograd_multiply(const WinogradArgs& args, int64_t group, int64_t first, int64_t n,
                                        int64_t first_panel, int64_t last_panel);
                 void winograd_pack(const float* kernel, int64_t maps, int64_t channels, int pairs, int taps,
                                    float* to);)

// Maps of one panel of weights: those that a kernel keeps in registers.
#define DT_WINOGRAD_PANEL(isa, needs, lanes, of, ...)       \
  namespace isa {                                           \
  constexpr int64_t kWinogradPanel = lanes == 16 ? 32 : 16; \
  }
DOVETAIL_ISAS(DT_WINOGRAD_PANEL, )
#undef DT_WINOGRAD_PANEL

#endif
