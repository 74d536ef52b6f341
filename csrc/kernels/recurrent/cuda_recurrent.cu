// SPDX-License-Identifier: Apache-2.0
// The steps of recurrent cells for LSTM, GRU and RNN, and the rows of RNN. A warp has one hidden unit of a few elements
// of the batch: it multiplies the state by the unit's rows of r, and its first lanes do what the gates ask for.
#include "kernels/recurrent/cuda_rows.hpp"

DOVETAIL_OPEN_NAMESPACE
namespace cuda_recurrent {

namespace {

constexpr int kRows = 4;  // elements of the batch that a warp has

// What a launch does. A GRU that resets the state before the product needs two for a step.
enum Phase { kRnnStep, kLstmStep, kGruStep, kGruGates, kGruLate };

template <Phase phase>
constexpr int kGatesOf = phase == kLstmStep   ? 4
                         : phase == kGruStep  ? 3
                         : phase == kGruGates ? 2
                                              : 1;

__device__ float activate(const RecurrentCellArgs& cell, int which, float v) {
  const RecurrentFunction f = cell.f[which];
  v = v < -cell.limit ? -cell.limit : v > cell.limit ? cell.limit : v;
  switch (f.kind) {
    case kRelu:
      return v < 0.0f ? 0.0f : v;
    case kTanh:
      return tanhf(v);
    case kSigmoid:
      return 1.0f / (1.0f + expf(-v));
    case kAffine:
      return f.a * v + f.b;
    case kLeakyRelu:
      return v < 0.0f ? f.a * v : v;
    case kThresholdedRelu:
      return v < f.a ? 0.0f : v;
    case kScaledTanh:
      return f.a * tanhf(f.b * v);
    case kHardSigmoid: {
      const float w = f.a * v + f.b;
      return w < 0.0f ? 0.0f : w > 1.0f ? 1.0f : w;
    }
    case kElu:
      return v > 0.0f ? v : f.a * expm1f(v);
    case kSoftsign:
      return v / (1.0f + fabsf(v));
    default:
      return fmaxf(v, 0.0f) + log1pf(expf(-fabsf(v)));
  }
}

// Copies initial states to h and c, or these to y_h and y_c; `half` is that of h.
__global__ void states(const __grid_constant__ CudaRecurrent args, bool is_first, int half) {
  const RecurrentDims& d = args.d;
  const int64_t all = d.directions * d.batch * d.hidden;
  for (int64_t i = first_item(); i < all; i += item_stride()) {
    const int64_t unit = i % d.hidden, n = i / d.hidden % d.batch, direction = i / d.hidden / d.batch;
    const int64_t at = d.at(direction, n) + unit;
    float* const h = args.h + half * all + i;
    if (is_first) {
      *h = args.initial_h ? load_float(args.initial_h, args.type, at) : 0.0f;
      if (args.y_c) args.c[i] = args.initial_c ? load_float(args.initial_c, args.type, at) : 0.0f;
    } else {
      store_float(*h, args.y_h, args.type, at);
      if (args.y_c) store_float(args.c[i], args.y_c, args.type, at);
    }
  }
}

// Warps whose units follow each other have the same elements of the batch.
template <Phase phase>
__global__ void __launch_bounds__(kBlock) walk_step(const __grid_constant__ CudaRecurrent args, int64_t step) {
  constexpr int kGates = kGatesOf<phase>;
  const RecurrentDims& d = args.d;
  const int lane = threadIdx.x % 32;
  const int64_t warp = first_item() / 32, parts = (d.batch + kRows - 1) / kRows;
  const int64_t unit = warp % d.hidden, first = warp / d.hidden % parts * kRows, direction = warp / d.hidden / parts;
  if (direction >= d.directions) return;
  const int64_t hidden = d.hidden, all = d.directions * d.batch * hidden, before = direction * d.batch + first;
  const float* const old = args.h + step % 2 * all;
  const float* const from = (phase == kGruLate ? args.reset : old) + before * hidden;
  const int64_t gate = phase == kGruLate ? 2 : 0;  // the first one here
  const int64_t r_row = (direction * d.gates + gate) * hidden + unit;
  const int rows = d.batch - first < kRows ? static_cast<int>(d.batch - first) : kRows;
  float sums[kGates][kRows] = {};
  for (int64_t k = lane; k < hidden; k += 32) {
    float v[kRows];
#pragma unroll
    for (int i = 0; i < kRows; ++i) v[i] = i < rows ? from[i * hidden + k] : 0.0f;
#pragma unroll
    for (int g = 0; g < kGates; ++g) {
      const float w = load_float(args.r, args.type, (r_row + g * hidden) * hidden + k);
#pragma unroll
      for (int i = 0; i < kRows; ++i) sums[g][i] = fmaf(w, v[i], sums[g][i]);
    }
  }
  float own[kGates] = {};  // those of the element that the lane has
#pragma unroll
  for (int g = 0; g < kGates; ++g) {
#pragma unroll
    for (int i = 0; i < kRows; ++i) {
#pragma unroll
      for (int other = 16; other > 0; other /= 2) sums[g][i] += __shfl_xor_sync(0xffffffffu, sums[g][i], other);
      if (i == lane) own[g] = sums[g][i];
    }
  }
  if (lane >= rows) return;

  const int64_t n = first + lane, state = (before + lane) * hidden + unit;
  const RecurrentCellArgs& cell = args.cell[direction];
  float* const h = args.h + (1 - step % 2) * all + state;
  int64_t length = args.lengths ? args.lengths[n] : d.steps;
  length = length < d.steps ? length : d.steps;
  if (step >= length) {
    if (phase == kGruGates) {
      args.z[state] = args.reset[state] = 0.0f;
    } else {
      *h = old[state];
      store_float(0.0f, args.y, args.type, d.at(step, direction, n) + unit);
    }
    return;
  }
  const int64_t now = args.is_backward[direction] ? length - 1 - step : step;
  const int64_t x = ((direction * d.steps * d.batch + d.row(now, n)) * d.gates + gate) * hidden + unit;
  const int64_t b = (direction * 2 * d.gates + gate) * hidden + unit, b_of_r = b + d.gates * hidden;
  float late_bias = 0.0f;
#pragma unroll
  for (int g = 0; g < kGates; ++g) {
    const bool is_late = phase == kGruStep && g == 2;  // q multiplies what comes from the state alone
    float sum = load_float(args.x, args.type, x + g * hidden);
    if (args.b) {
      sum += load_float(args.b, args.type, b + g * hidden);
      const float of_r = load_float(args.b, args.type, b_of_r + g * hidden);
      is_late ? late_bias = of_r : sum += of_r;
    }
    if (is_late) {
      own[g] = sum + activate(cell, 0, own[1]) * (own[g] + late_bias);
    } else {
      own[g] += sum;
    }
  }
  const float h_old = old[state];
  float next = 0.0f;
  if constexpr (phase == kRnnStep) {
    next = activate(cell, 0, own[0]);
  } else if constexpr (phase == kGruStep) {
    const float z = activate(cell, 0, own[0]);
    next = (1.0f - z) * activate(cell, 1, own[2]) + z * h_old;
  } else if constexpr (phase == kGruGates) {
    args.z[state] = activate(cell, 0, own[0]);
    args.reset[state] = activate(cell, 0, own[1]) * h_old;
    return;
  } else if constexpr (phase == kGruLate) {
    const float z = args.z[state];
    next = (1.0f - z) * activate(cell, 1, own[0]) + z * h_old;
  } else {
    const float c_old = args.c[state];
    float p[3] = {};  // of the input, output and forget gate
    if (args.peepholes) {
      for (int i = 0; i < 3; ++i) p[i] = load_float(args.peepholes, args.type, (direction * 3 + i) * hidden + unit);
    }
    const float in = activate(cell, 0, own[0] + p[0] * c_old);
    const float forget = cell.input_forget ? 1.0f - in : activate(cell, 0, own[2] + p[2] * c_old);
    const float c = forget * c_old + in * activate(cell, 1, own[3]);
    args.c[state] = c;
    next = activate(cell, 0, own[1] + p[1] * c) * activate(cell, 2, c);
  }
  *h = next;
  store_float(next, args.y, args.type, d.at(now, direction, n) + unit);
}

template <Phase phase>
void start(const Run& run, const CudaRecurrent& args, int64_t step) {
  const RecurrentDims& d = args.d;
  const int64_t blocks = divide_up(d.directions * divide_up(d.batch, kRows) * d.hidden * 32, kBlock);
  if (blocks > cuda_gemm::kMostBlocks)
    fail(DT_SHAPE, "%lld blocks, more than a grid has", static_cast<long long>(blocks));
  launch(run, "walk_step", walk_step<phase>, static_cast<unsigned>(blocks), kBlock, 0, args, step);
}

}  // namespace

void walk(const Run& run, const CudaRecurrent& args) {
  const RecurrentDims& d = args.d;
  const unsigned blocks = blocks_for(d.directions * d.batch * d.hidden);
  launch(run, "states", states, blocks, kBlock, 0, args, true, 0);
  for (int64_t step = 0; step < d.steps; ++step) {
    if (args.cell[0].cell == kRnnCell) {
      start<kRnnStep>(run, args, step);
    } else if (args.cell[0].cell == kLstmCell) {
      start<kLstmStep>(run, args, step);
    } else if (args.cell[0].linear_before_reset) {
      start<kGruStep>(run, args, step);
    } else {
      start<kGruGates>(run, args, step);
      start<kGruLate>(run, args, step);
    }
  }
  launch(run, "states", states, blocks, kBlock, 0, args, false, static_cast<int>(d.steps % 2));
}

}  // namespace cuda_recurrent

DOVETAIL_CLOSE_NAMESPACE
