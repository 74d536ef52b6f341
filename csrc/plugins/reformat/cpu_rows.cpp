// SPDX-License-Identifier: Apache-2.0
// Reformat@1#cpu: a row for each pair of formats, and for each instruction set another that changes the type as well.
#include "kernels/conversion/cpu_rows.hpp"

#include <type_traits>

#include "cpu_kernels.hpp"
#include "rows.hpp"

using namespace dovetail;

namespace {

// The offset of element `index` (row-major) of a tensor of these dims.
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

// ---- with another type

typedef void (*Convert)(const ConversionArgs&, int64_t, int64_t);

// Converts n neighbours.
template <Convert convert>
void convert_run(ConversionArgs args, const char* x, char* y, int64_t n) {
  args.x = x;
  args.y = y;
  convert(args, 0, n);
}

// A tile on its way is in the order of y, so that runs of neighbours are converted.
ReformatSide side_of_tile(const ReformatSide& to) {
  if (to.lanes == 1 && to.step == 1) return {1, kReformatInner, 1, 0};
  const int64_t lanes = to.lanes < kReformatChannels ? to.lanes : kReformatChannels;
  return {lanes, kReformatInner * lanes, lanes, 0};
}

// Rows of n bytes that follow each other go to places that are `pitch` bytes apart. For the usual n the copy is inlined.
void scatter_rows(const char* x, int64_t x_pitch, char* y, int64_t pitch, int64_t rows, int64_t n) {
  const auto copy = [&](auto size) {
    for (int64_t i = 0; i < rows; ++i) std::memcpy(y + i * pitch, x + i * x_pitch, static_cast<size_t>(size));
  };
  if (n == 16) return copy(std::integral_constant<int, 16>());
  if (n == 32) return copy(std::integral_constant<int, 32>());
  if (n == 64) return copy(std::integral_constant<int, 64>());
  if (n == 128) return copy(std::integral_constant<int, 128>());
  copy(n);
}

template <Convert convert>
void convert_tile(const ConversionArgs& args, const ReformatArgs& job, const ReformatSide& to, int64_t number,
                  const Tensor& y) {
  alignas(64) char cells[kReformatChannels * kReformatInner * 8], converted[kReformatChannels * kReformatInner * 8];
  const int64_t x_bytes = job.element_bytes, y_bytes = size_of(y.type()), lanes = job.to.lanes;
  ReformatArgs gather = job;
  gather.y = cells;
  const bool has_runs = to.step == lanes;  // from one position to the next
  if (job.channels % lanes != 0) {         // padding lanes are converted too
    std::memset(cells, 0, static_cast<size_t>(kReformatChannels * kReformatInner * x_bytes));
  }
  const ReformatTile tile = scalar::gather_tile(gather, number);
  char* const image = y.data<char>() + tile.image * to.image * y_bytes;
  const int64_t n = tile.s1 - tile.s0;
  for (int64_t c = 0; c < tile.c1 - tile.c0; c += lanes) {
    const char* from = cells + c * kReformatInner * x_bytes;
    const int64_t first = tile.c0 + c;
    char* start = image + (first / to.lanes * to.block + first % to.lanes + tile.s0 * to.step) * y_bytes;
    if (has_runs) {
      convert_run<convert>(args, from, start, n * lanes);
      continue;
    }
    const int64_t used = tile.c1 - first < lanes ? tile.c1 - first : lanes;
    convert_run<convert>(args, from, converted, n * lanes);
    scatter_rows(converted, lanes * y_bytes, start, to.step * y_bytes, n, used * y_bytes);
  }
}

// Two formats that disagree on the channel axis.
template <Convert convert>
void convert_by_index(const ConversionArgs& args, const Tensor& x, const FormatView& from, const Tensor& y,
                      const FormatView& to) {
  constexpr int64_t kChunk = 512;
  alignas(64) char before[kChunk * 8], after[kChunk * 8];
  const int64_t x_bytes = size_of(x.type()), y_bytes = size_of(y.type()), total = x.volume();
  for (int64_t i = 0; i < total; i += kChunk) {
    const int64_t n = total - i < kChunk ? total - i : kChunk;
    for (int64_t j = 0; j < n; ++j) {
      std::memcpy(before + j * x_bytes, x.data<const char>() + place(from, x.dims(), x.rank(), i + j) * x_bytes,
                  static_cast<size_t>(x_bytes));
    }
    convert_run<convert>(args, before, after, n);
    for (int64_t j = 0; j < n; ++j) {
      std::memcpy(y.data<char>() + place(to, x.dims(), x.rank(), i + j) * y_bytes, after + j * y_bytes,
                  static_cast<size_t>(y_bytes));
    }
  }
}

struct ConversionState {
  ReformatState copy;
  ReformatSide target = {};
  ConversionArgs args = {};
};

ConversionState plan_conversion(const ReformatParams&, const Descs& inputs, const Descs& outputs,
                                const RunSetup& setup) {
  const Desc x = inputs[0], y = outputs[0];
  ConversionState state;
  state.args = {nullptr, nullptr, static_cast<int32_t>(x.type()), static_cast<int32_t>(y.type()),
                scale_of_conversion(x, y)};
  FormatView &from = state.copy.from, &to = state.copy.to;
  set_views(x, y, &from, &to);
  if (to.stored() == 0 || x.format() == y.format()) return state;
  if (from.axis != to.axis) {
    state.copy.way = ReformatState::kByIndex;
    return state;
  }
  state.copy.way = ReformatState::kTiles;
  state.target = side_of(to);
  const int64_t x_bytes = size_of(x.type()), y_bytes = size_of(y.type());
  state.copy.args = {nullptr,    nullptr,       static_cast<int32_t>(x_bytes), from.channels,
                     from.inner, side_of(from), side_of_tile(state.target)};
  const int64_t tiles = from.outer * ((from.channels + kReformatChannels - 1) / kReformatChannels) *
                        ((from.inner + kReformatInner - 1) / kReformatInner);
  const int64_t work =
      kReformatChannels * (from.inner < kReformatInner ? from.inner : kReformatInner) * (x_bytes + y_bytes);
  state.copy.pieces = cut(tiles, static_cast<double>(work), 1, setup.n_threads());
  return state;
}

template <Convert convert>
void enqueue_conversion(const ReformatParams&, ConversionState& state, const Run& run) {
  const Tensor x = run.input(0), y = run.output(0);
  ReformatState& copy = state.copy;
  if (copy.way == ReformatState::kBytes) return convert_as_it_lies<convert>(run, state.args.scale);
  if (copy.way == ReformatState::kByIndex) {
    convert_by_index<convert>(state.args, x, copy.from, y, copy.to);
  } else {
    copy.args.x = x.data<void>();
    run_pieces(run, copy.pieces, [&](int64_t first, int64_t last) {
      for (int64_t number = first; number < last; ++number) {
        convert_tile<convert>(state.args, copy.args, state.target, number, y);
      }
    });
  }
  zero_padding(copy.to, y.data<void>(), size_of(y.type()));
}

#define REFORMAT_ROW(from, to) \
  {.tactic = from "_to_" to,   \
   .types = kReformatTypes,    \
   .formats = from " -> " to,  \
   .fits = fits_copy,          \
   .enqueue = enqueue,         \
   .plan = plan},
#define CONVERSION_ROW(isa, features, from, to)          \
  {.tactic = from "_to_" to "_converting_" #isa,         \
   .needs = features,                                    \
   .types = kChangedTypes,                               \
   .formats = from " -> " to,                            \
   .fits = fits_conversion,                              \
   .enqueue = enqueue_conversion<isa::convert_elements>, \
   .plan = plan_conversion},
#define CONVERSION_ROWS(isa, features, ...) DOVETAIL_EACH_FORMAT(REFORMAT_ROWS_FROM, CONVERSION_ROW, isa, features)

constexpr Row<ReformatParams, ReformatState> kRows[] = {DOVETAIL_EACH_FORMAT(REFORMAT_ROWS_FROM, REFORMAT_ROW)};
constexpr Row<ReformatParams, ConversionState> kConverting[] = {DOVETAIL_EACH_ISA_WITH(CONVERSION_ROWS, )};

}  // namespace

DOVETAIL_IMPLEMENTS("Reformat@1#cpu", ReformatParams, kRows, kConverting)
