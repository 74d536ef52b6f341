// SPDX-License-Identifier: Apache-2.0
// Arguments of the kernels of convolution and its transpose. Both are the same gather, so they share kernels:
//
//   y[o(j)] = bias + sum over taps t and channels c of w[t, c] * x[c, j * in_step + off_first + t * off_step]
//
// with o(j) = out_first + j * out_step on each axis. A convolution is one such gather with out_step 1. A transposed
// convolution of stride S is S gathers ("phases") for each axis, with in_step 1 and out_step S, each with the taps that
// contribute to its outputs, so that nothing is multiplied by inserted zeros.
#ifndef DOVETAIL_KERNELS_CONVOLVE_ARGS_HPP
#define DOVETAIL_KERNELS_CONVOLVE_ARGS_HPP

#include <stdint.h>

#include "dovetail/detail/isa.hpp"
#include "dovetail/epilogue_program.h"

struct ConvolveAxis {
  int64_t in, out;  // extents of x and y
  int64_t count;    // outputs of this phase
  int64_t out_first, out_step, in_step;
  int64_t taps, off_first, off_step;
  int64_t tap_first, tap_step;  // tap t is kernel element tap_first + t * tap_step
};

// Phases merged to one convolution: their windows begin at the same inputs if the outputs of some are numbered from later
// on, and then the maps of all phases count like maps of one. Output j of a phase, on one axis, is output j + shift of
// that convolution, and lies at first + j * out_step of y.
struct MergedPhase {
  int64_t first, count, shift;
};
constexpr int kMergedStride = 4;  // phases of an axis, at most

struct ConvolveArgs {
  const void* x;        // [images, groups * channels, in...]
  void* y;              // [images, groups * maps, out...]
  const void* weights;  // packed for this phase
  const float* bias;    // [groups * maps] or null
  int32_t x_type, y_type;
  int64_t images, groups, channels, maps;  // channels and maps of one group
  ConvolveAxis axis[3];
  int64_t panel;                    // maps of one panel of weights (kernels of linear tensors)
  int64_t block;                    // outputs whose inputs are copied at once (amx.hpp)
  float scale;                      // of the products (INT8)
  const EpilogueProgram* epilogue;  // to compute on y, or null
  // Of kernels that write blocks of 16 maps: x is linear instead of in blocks of 16 channels; behind these weights are
  // those of another phase, which is next.
  int32_t x_is_linear, is_followed;
  // Of 1x1 kernels that move by one, on blocks of 16 channels: is each channel of x multiplied by a factor? The factors of
  // an image, and the distance to those of the next, 0 if all images have the same.
  int32_t is_gated;
  const float* gate;
  int64_t gate_image;
};

// The outputs of merged phases, which spread.hpp moves to where they belong.
struct SpreadArgs {
  const float* from;  // [images][blocks of phases * maps][rows][columns][16]; map m of phase p is p * maps + m
  float* y;           // linear, [images, maps, out...]
  int64_t images, maps, rows, columns;
  int64_t out[2], out_step[2];
  int phases[2];
  MergedPhase phase[2][kMergedStride];
  const EpilogueProgram* epilogue;  // to compute on y, or null
};

// A 1x1 convolution that moves by one, and the depthwise convolution of what it and a function behind it give.
struct ExpandedArgs {
  ConvolveArgs expansion;  // x, weights, bias; sees an image as one long row
  ConvolveArgs depthwise;  // y, weights, bias, epilogue
  int32_t has_silu;        // of the function: v * sigmoid(v), and then limits, which may be infinite
  float low, high;
  int64_t parts;  // that rows of outputs are cut into, so that each thread reads rows of its own
};

// Items, tiles and panels of the kernels are explained in gemm.hpp, int8.hpp, bf16.hpp, amx.hpp, blocked.hpp, spread.hpp,
// depthwise.hpp, grouped.hpp and expanded.hpp, which define them.
DOVETAIL_KERNELS(void convolve_gemm(const ConvolveArgs& args, int64_t first, int64_t last, int64_t first_panel,
                                    int64_t last_panel, void* scratch);
                 void convolve_int8(const ConvolveArgs& args, int64_t first, int64_t last, int64_t first_panel,
                                    int64_t last_panel, void* scratch);
                 void convolve_bf16(const ConvolveArgs& args, int64_t first, int64_t last, int64_t first_panel,
                                    int64_t last_panel, void* scratch);
                 void convolve_amx(const ConvolveArgs& args, int64_t first, int64_t last, int64_t first_panel,
                                   int64_t last_panel, void* scratch);
                 void convolve_rows(const ConvolveArgs& args, int64_t first, int64_t last);
                 void convolve_blocked(const ConvolveArgs& args, int64_t first, int64_t last);
                 int64_t convolve_blocked_items(const ConvolveArgs& args);
                 void convolve_spread(const SpreadArgs& args, int64_t first, int64_t last);
                 void convolve_depthwise(const ConvolveArgs& args, int64_t first, int64_t last);
                 void convolve_grouped(const ConvolveArgs& args, int64_t first, int64_t last);
                 void convolve_expanded(const ExpandedArgs& args, int64_t first, int64_t last, float* scratch);
                 int64_t convolve_expanded_items(const ExpandedArgs& args);
                 int64_t convolve_expanded_floats(const ExpandedArgs& args);)

// Kernels of linear tensors keep kConvolvePanel maps times kConvolveTile outputs in registers.
#define DT_CONVOLVE_TILE(isa, needs, lanes, of, ...)                                  \
  namespace isa {                                                                     \
  constexpr int64_t kConvolvePanel = lanes == 16 ? 12 : 6, kConvolveTile = 2 * lanes; \
  }
DOVETAIL_ISAS(DT_CONVOLVE_TILE, )
#undef DT_CONVOLVE_TILE

#endif
