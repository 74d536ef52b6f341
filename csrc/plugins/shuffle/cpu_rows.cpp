// SPDX-License-Identifier: Apache-2.0
// Shuffle@1#cpu.
#include "kernels/copy/blocked_dims.hpp"

#include <cstring>
#include <utility>

#include "rows.hpp"

using namespace dovetail;

namespace {

void enqueue(const ShuffleParams& params, const Run& run) {
  const ShuffleCopies copies = shuffle_copies(params, run);
  const void* x = run.input(0).data<void>();
  void* y = run.output(0).data<void>();
  if (copies.is_one) return copy_strided(run, copies.first, x, y);
  copy_strided(run, copies.first, x, run.workspace());
  copy_strided(run, copies.second, run.workspace(), y);
}

// ---- between channels last and blocks of 16 channels: the channels of a cell that are in one block stay together

constexpr int64_t kLanes = 16;
constexpr int kChannelsFirst[] = {0, 3, 1, 2}, kChannelsLast[] = {0, 2, 3, 1};

// Nothing but the order of axes changes, to `wanted`.
bool is_order(const ShuffleParams& params, const Desc& x, const Desc& y, const int (&wanted)[4]) {
  if (x.rank() != 4 || y.rank() != 4) return false;
  const AxisOrder first(params.first_transpose, 4), second(params.second_transpose, 4);
  int n_unknown = 0;  // one follows from the others, since the numbers of elements are equal
  for (int i = 0; i < 4; ++i) {
    const int between = second.axis[i];
    const int64_t from = x.extent(first.axis[between]), to = y.extent(i);
    if (first.axis[between] != wanted[i] || from != to || to == 0) return false;
    n_unknown += to < 0;
  }
  return n_unknown < 2;
}

template <bool to_blocks>
const char* fits_cells(const ShuffleParams& params, const Descs& inputs, const Descs& outputs) {
  if (!is_order(params, inputs[0], outputs[0], to_blocks ? kChannelsFirst : kChannelsLast))
    return to_blocks ? "not from channels last to channels first" : "not from channels first to channels last";
  return fits_whole_blocks(to_blocks ? outputs[0] : inputs[0]);
}

// Cells [first, last) of all images; in each image there are `cells`.
template <bool to_blocks>
void move_cells(const float* x, float* y, int64_t blocks, int64_t cells, int64_t first, int64_t last) {
  constexpr int64_t kTogether = 32;  // cells whose lines of both sides stay in the first-level cache
  for (int64_t cell = first, n; cell < last; cell += n) {
    const int64_t image = cell / cells, in_image = cell % cells, left = cells - in_image;
    n = left < kTogether ? left : kTogether;
    if (n > last - cell) n = last - cell;
    for (int64_t block = 0; block < blocks; ++block) {
      int64_t from = (cell * blocks + block) * kLanes, to = ((image * blocks + block) * cells + in_image) * kLanes;
      int64_t from_step = blocks * kLanes, to_step = kLanes;
      if (!to_blocks) std::swap(from, to), std::swap(from_step, to_step);
      for (int64_t i = 0; i < n; ++i, from += from_step, to += to_step) std::memcpy(y + to, x + from, kLanes * 4);
    }
  }
}

template <bool to_blocks>
void enqueue_cells(const ShuffleParams&, const Run& run) {
  const Tensor x = run.input(0), y = run.output(0), of_blocks = to_blocks ? y : x;
  const int64_t blocks = of_blocks.extent(1) / kLanes, cells = of_blocks.extent(2) * of_blocks.extent(3);
  parallel_ranges(run, of_blocks.extent(0) * cells, static_cast<double>(blocks * kLanes * 4), 16,
                  [&](int64_t first, int64_t last) {
                    move_cells<to_blocks>(x.data<float>(), y.data<float>(), blocks, cells, first, last);
                  });
}

constexpr char kCellTypes[] = "f32|f32 i32|i64 -> f32|f32";

constexpr Row<ShuffleParams> kRows[] = {
    {.tactic = "strided", .types = kReshapeTypes, .workspace = shuffle_workspace, .enqueue = enqueue},
    {.tactic = "cells_to_chw16",
     .types = kCellTypes,
     .formats = "linear linear -> chw16",
     .fits = fits_cells<true>,
     .enqueue = enqueue_cells<true>},
    {.tactic = "chw16_to_cells",
     .types = kCellTypes,
     .formats = "chw16 linear -> linear",
     .fits = fits_cells<false>,
     .enqueue = enqueue_cells<false>},
};

}  // namespace

DOVETAIL_IMPLEMENTS("Shuffle@1#cpu", ShuffleParams, kRows)
