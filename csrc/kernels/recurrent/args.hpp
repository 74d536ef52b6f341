// SPDX-License-Identifier: Apache-2.0
// Arguments of the kernels of recurrent cells, and the functions inside cells.
#ifndef DOVETAIL_KERNELS_RECURRENT_ARGS_HPP
#define DOVETAIL_KERNELS_RECURRENT_ARGS_HPP

#include <stdint.h>

#include "dovetail/detail/isa.hpp"
#include "kernels/spec/enumerations.hpp"

enum RecurrentCell : int32_t { kRnnCell = 0, kGruCell = 1, kLstmCell = 2 };

enum RecurrentDirection : int32_t { DOVETAIL_RECURRENT_DIRECTION(DOVETAIL_ENUMERATOR, k) };
enum RecurrentActivation : int32_t { DOVETAIL_RECURRENT_ACTIVATION(DOVETAIL_ENUMERATOR, k) };

struct RecurrentFunction {
  int32_t kind;
  float a, b;
};

// One direction of a layer.
struct RecurrentCellArgs {
  int32_t cell, input_forget, linear_before_reset;
  RecurrentFunction f[3];
  float limit;  // arguments of activation functions are clipped to -limit..limit
  int64_t hidden;
  const float *peepholes, *late_bias;  // [3, hidden] or null; [hidden], what q multiplies (linear_before_reset) or null
};

// Kernels, defined in cpu_generic.hpp. x: what the gates get from the input, with biases;
// r: what they get from the state. Both are [gates, hidden] of one element of the batch; r is overwritten.
//   recurrent_reset  of a GRU that resets the state before the product: z and q from the first two gates of r, which
//                    is [2, hidden] here; leaves z in r[0, hidden) and q * h in `reset`
//   recurrent_cell   the next h, and c of an LSTM. late: the third gate's part of r, or for such a GRU the product of
//                    the state that was reset
DOVETAIL_KERNELS(void recurrent_reset(const RecurrentCellArgs& args, const float* x, float* r, const float* h,
                                      float* reset);
                 void recurrent_cell(const RecurrentCellArgs& args, const float* x, float* r, float* late, float* h,
                                     float* c);)

#endif
