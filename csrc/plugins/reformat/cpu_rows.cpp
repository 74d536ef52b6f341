// SPDX-License-Identifier: Apache-2.0
// Reformat@1#cpu: one row for each pair of formats.
#include "cpu_kernels.hpp"
#include "rows.hpp"

using namespace dovetail;

namespace {

// Where element `index` (row-major) of a tensor of these dims lies.
int64_t place(const FormatView& view, const int64_t* dims, int rank, int64_t index) {
  if (view.kind == 0) return index;
  int64_t inner = 1;
  for (int i = view.axis + 1; i < rank; ++i) inner *= dims[i];
  const int64_t s = index % inner, c = index / inner % view.channels, n = index / inner / view.channels;
  const ReformatSide side = side_of(view);
  return n * side.image + c / side.lanes * side.block + c % side.lanes + s * side.step;
}

// Two formats that disagree on the channel axis, such as CHW16 and DHWC8: rare, so element by element.
void copy_by_index(const Tensor& x, const FormatView& from, const Tensor& y, const FormatView& to, int64_t bytes) {
  const char* source = x.data<const char>();
  char* target = y.data<char>();
  for (int64_t i = 0, n = x.volume(); i < n; ++i) {
    std::memcpy(target + place(to, x.dims(), x.rank(), i) * bytes, source + place(from, x.dims(), x.rank(), i) * bytes,
                static_cast<size_t>(bytes));
  }
}

struct ReformatState {
  enum { kBytes, kTiles, kByIndex } way = kBytes;
  FormatView from, to;
  ReformatArgs args = {};
  Pieces pieces;
  int64_t bytes = 0;  // of an element
};

ReformatState plan(const ReformatParams&, const Descs& inputs, const Descs& outputs, const RunSetup& setup) {
  const Desc x = inputs[0], y = outputs[0];
  ReformatState state;
  FormatView &from = state.from, &to = state.to;
  set_views(x, y, &from, &to);
  const int64_t bytes = state.bytes = size_of(x.type());
  if (to.stored() == 0) return state;
  if (x.format() == y.format()) {
    state.pieces = cut(to.stored() * bytes, 1, 4096, setup.n_threads());
  } else if (from.axis != to.axis) {
    state.way = ReformatState::kByIndex;
  } else {
    state.way = ReformatState::kTiles;
    state.args = {nullptr, nullptr, static_cast<int32_t>(bytes), from.channels, from.inner, side_of(from), side_of(to)};
    const int64_t tiles = from.outer * ((from.channels + kReformatChannels - 1) / kReformatChannels) *
                          ((from.inner + kReformatInner - 1) / kReformatInner);
    const int64_t work = kReformatChannels * (from.inner < kReformatInner ? from.inner : kReformatInner) * bytes;
    state.pieces = cut(tiles, static_cast<double>(work), 1, setup.n_threads());
  }
  return state;
}

void enqueue(const ReformatParams&, ReformatState& state, const Run& run) {
  const Tensor x = run.input(0), y = run.output(0);
  state.args.x = x.data<void>();
  state.args.y = y.data<void>();
  if (state.way == ReformatState::kByIndex) {
    copy_by_index(x, state.from, y, state.to, state.bytes);
  } else if (state.way == ReformatState::kTiles) {
    run_pieces(run, state.pieces, [&](int64_t first, int64_t last) { scalar::reformat(state.args, first, last); });
  } else {
    run_pieces(run, state.pieces, [&](int64_t first, int64_t last) {
      std::memcpy(y.data<char>() + first, x.data<const char>() + first, static_cast<size_t>(last - first));
    });
  }
  zero_padding(state.to, y.data<void>(), state.bytes);
}

#define REFORMAT_ROW(from, to) \
  {.tactic = from "_to_" to, .types = kReformatTypes, .formats = from " -> " to, .enqueue = enqueue, .plan = plan},
constexpr Row<ReformatParams, ReformatState> kRows[] = {DOVETAIL_EACH_FORMAT(REFORMAT_ROWS_FROM, REFORMAT_ROW)};

}  // namespace

DOVETAIL_IMPLEMENTS("Reformat@1#cpu", ReformatParams, kRows)
