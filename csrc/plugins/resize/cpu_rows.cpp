// SPDX-License-Identifier: Apache-2.0
// Resize@1#cpu: tactics, best first.
#include <memory>
#include <new>
#include <utility>
#include <vector>

#include "cpu_kernels.hpp"
#include "rows.hpp"

using namespace dovetail;

namespace {

constexpr int64_t kFewNeighbours = 8;  // fewer beside one another are gathered one by one

// What a layer may need of the workspace, for any extents up to max(): sums between two axes, and rows of a thread.
struct Need {
  int64_t shared = 0, of_thread = 0;
};

// Extents may come from an untrusted plan.
int64_t times(int64_t a, int64_t b) {
  if (static_cast<double>(a) * static_cast<double>(b) > 0x1p50)
    fail(DT_OUT_OF_MEMORY, "extents are too large to be resized");
  return a * b;
}

int64_t padded(int64_t bytes) { return (bytes + 127) / 64 * 64; }

Need need_of(const ResizeParams& params, const Desc& x, const Desc& y) {
  const int rank = x.rank();
  const FormatTraits traits = traits_of(static_cast<int32_t>(x.format()));
  int64_t extents[kResizeMostAxes], in[kResizeMostAxes], out[kResizeMostAxes];
  int axes[kResizeMostAxes], n = 0, n_resized = 0;
  each_stored_axis(static_cast<int32_t>(x.format()), rank, [&](int axis, int64_t lanes) {
    const bool is_channels = traits.kind != 0 && axis == rank - traits.spatial - 1;
    in[n] = axis < 0      ? lanes
            : is_channels ? (x.max()[axis] + lanes - 1) / lanes * (traits.kind == 2 ? lanes : 1)
                          : x.max()[axis];
    out[n] = axis < 0 || is_channels ? in[n] : y.max()[axis];
    const bool may_change = axis >= 0 && !is_channels &&
                            (x.extent(axis) < 0 || y.extent(axis) < 0 || is_resized(params, axis, in[n], out[n]));
    axes[n] = may_change ? axis : -1;
    n_resized += may_change;
    extents[n] = in[n] > out[n] ? in[n] : out[n];
    ++n;
  });
  Need need;
  int64_t behind = 1, row = 1, n_kept = 1, n_before = n_resized, between = 1;
  int last_resized = -1;
  bool is_apart = false;
  for (int i = n - 1; i >= 0; --i) {
    if (axes[i] >= 0) {
      --n_before;
      const int64_t chunk = behind < kResizeColumns ? behind : kResizeColumns;
      if (chunk > row) row = chunk;
      const int64_t neighbours = n_before > 0 || behind < kFewNeighbours ? behind : kFewNeighbours;
      if (times(extents[i], neighbours) > row) row = extents[i] * neighbours;
      const bool is_open = x.extent(axes[i]) < 0 || y.extent(axes[i]) < 0;
      const bool is_empty = in[i] < 1 || out[i] < 1;
      const int64_t taps = is_open && params.antialias ? in[i]
                           : is_empty                  ? 1
                                                       : static_cast<int64_t>(params.taps(axes[i], in[i], out[i]));
      const int64_t kept = taps < in[i] ? taps : in[i];
      if (kept > n_kept) n_kept = kept;
      is_apart = is_apart || (last_resized >= 0 && between > 1);
      last_resized = i;
      between = 1;
    } else {
      between *= extents[i];
    }
    behind = times(behind, extents[i]);
  }
  if (params.resize_mode == kResizeNearest) return need;
  // Two neighbouring axes are resized at once.
  const int n_sums = n_resized == 2 && !is_apart ? 0 : n_resized > 2 ? 2 : n_resized - 1;
  if (n_sums > 0) need.shared += n_sums * padded(behind * 4);
  need.of_thread = padded(n_kept * 8 + (n_kept + 2) * row * 4);
  return need;
}

uint64_t workspace(const ResizeParams& params, const Descs& inputs, const Descs& outputs, int n_threads) {
  const Need need = need_of(params, inputs[0], outputs[0]);
  return static_cast<uint64_t>(need.shared + need.of_thread * n_threads);
}

// The tables of a state.
class Tables {
 public:
  template <class T>
  T* take(int64_t n) {
    std::unique_ptr<void, Free> block(operator new(static_cast<size_t>(n) * sizeof(T), kAlignment));
    blocks_.push_back(std::move(block));
    return static_cast<T*>(blocks_.back().get());
  }

 private:
  static constexpr std::align_val_t kAlignment{64};
  struct Free {
    void operator()(void* block) const { operator delete(block, kAlignment); }
  };
  std::vector<std::unique_ptr<void, Free>> blocks_;
};

// Weighted sums along one axis, or two neighbouring ones: from x or from sums, to other sums or to y.
struct BlendStep {
  ResizeBlend blend;
  int from, to;  // sums of the workspace; -1: x or y
  int32_t pieces;
};

struct ResizeState {
  Tables tables;
  ResizeMove move = {};
  Pieces rows;                   // of a move
  std::vector<BlendStep> steps;  // none for a move
  int64_t sums_bytes = 0;        // of each of the two sums in the workspace, behind which threads have their scratch
  int64_t scratch_at = 0;
  // Fills the outputs beyond x: `inner` elements, `outer` times.
  struct Beyond {
    int64_t outer, inner, first, stride;
  };
  std::vector<Beyond> beyond;
  uint64_t beyond_bits = 0;
  FormatView view;  // of y
  int64_t element_bytes = 0;
};

// Each cell as `group` neighbours.
ResizeTable table_of(const ResizeParams& params, const ResizeView& view, int i, int64_t group, Tables& tables) {
  const ResizeAxis axis = resize_axis(params, view.axis[i], view.in[i], view.out[i]);
  const int64_t n = axis.out * group;
  int32_t* cells = tables.take<int32_t>(axis.taps * n);
  float* weights = axis.mode == kResizeNearest ? nullptr : tables.take<float>(axis.taps * n);
  for (int64_t k = 0; k < axis.out; ++k) {
    const int64_t at = k * group;
    taps_of(axis, k, cells + at, weights + at, n);
    for (int64_t tap = 0; tap < axis.taps && group > 1; ++tap) {
      const int64_t first = tap * n + at;
      const int32_t cell = cells[first] * static_cast<int32_t>(group);
      for (int64_t j = 0; j < group; ++j) {
        cells[first + j] = cell + static_cast<int32_t>(j);
        if (weights) weights[first + j] = weights[first];
      }
    }
  }
  return {axis.taps, n, cells, weights};
}

// Elements of an axis that are made of fewer than kFewNeighbours neighbours are gathered as single ones.
int64_t group_of(int64_t inner, int64_t extent) {
  return inner < kFewNeighbours && extent * inner <= kResizeMostExtent ? inner : 1;
}

void plan_beyond(const ResizeParams& params, const ResizeView& view, const Desc& y, ResizeState* state) {
  state->beyond_bits = resize_bits(y.type(), params.extrapolation_value);
  for (int i = 0; i < view.n; ++i) {
    if (view.axis[i] < 0) continue;
    const ResizeAxis axis = resize_axis(params, view.axis[i], view.in[i], view.out[i]);
    const int64_t outer = view.volume(view.out, 0, i), inner = view.volume(view.out, i + 1, view.n);
    for (int64_t k = 0; k < axis.out; ++k)
      if (is_beyond(axis, k)) state->beyond.push_back({outer, inner, k * inner, axis.out * inner});
  }
}

void fill_beyond(const ResizeState& state, char* y) {
  const int64_t bytes = state.element_bytes;
  for (const ResizeState::Beyond& part : state.beyond) {
    for (int64_t o = 0; o < part.outer; ++o) {
      char* to = y + (o * part.stride + part.first) * bytes;
      for (int64_t j = 0; j < part.inner; ++j)
        std::memcpy(to + j * bytes, &state.beyond_bits, static_cast<size_t>(bytes));
    }
  }
}

typedef void Move(const ResizeMove& move, int64_t first, int64_t last);
typedef void Blend(const ResizeBlend& blend, int64_t first, int64_t last, void* scratch);

void plan_move(const ResizeParams& params, const ResizeView& view, int n_threads, ResizeState* state) {
  ResizeMove& move = state->move;
  move.element_bytes = state->element_bytes;
  int n = view.n;  // axes in front of the rows
  move.row_in = move.row_out = 1;
  if (n > 0 && view.axis[n - 1] < 0) move.row_in = move.row_out = view.out[--n];
  move.block = 1;
  if (n > 0) {
    --n;
    const int64_t group = group_of(move.row_out, view.in[n] > view.out[n] ? view.in[n] : view.out[n]);
    move.across = table_of(params, view, n, group, state->tables).cells;
    move.block = move.row_out / group;
    move.row_in *= view.in[n];
    move.row_out *= view.out[n];
  }
  move.n = n;
  int64_t rows = 1, stride = move.row_in;
  for (int i = n - 1; i >= 0; --i) {
    move.out[i] = view.out[i];
    move.stride[i] = stride;
    if (view.axis[i] >= 0) move.cells[i] = table_of(params, view, i, 1, state->tables).cells;
    stride *= view.in[i];
    rows *= view.out[i];
  }
  state->rows = cut(rows, static_cast<double>(move.row_out * move.element_bytes), 1, n_threads);
}

// Cuts a step for the threads; the workspace has `room` bytes for their scratch.
void divide(int64_t room, int n_threads, BlendStep* step) {
  ResizeBlend& blend = step->blend;
  const int64_t taps = blend.down.taps ? blend.down.taps : 1;
  blend.n_kept = taps < blend.in ? taps : blend.in;
  const int64_t row = blend.chunk(), line = blend.across.taps ? blend.row_in : 0;
  blend.scratch_bytes = (blend.n_kept * 8 + ((blend.n_kept + 1) * row + line) * 4 + 63) / 64 * 64;
  const int64_t units = blend.units(), fit = room / blend.scratch_bytes;
  if (fit < 1) fail(DT_INVALID_ARGUMENT, "the workspace is smaller than what these extents need");
  const double work = static_cast<double>(units) * static_cast<double>(row * (taps + blend.across.taps));
  int64_t pieces = n_threads < fit ? n_threads : fit;
  if (pieces > units) pieces = units;
  if (static_cast<double>(pieces) > work / 10000) pieces = static_cast<int64_t>(work / 10000) + 1;
  step->pieces = static_cast<int32_t>(pieces);
}

void plan_blend(const ResizeParams& params, const ResizeView& view, const Desc& x, const RunSetup& setup,
                ResizeState* state) {
  int resized[kResizeMostAxes], n_resized = 0;
  int64_t dims[kResizeMostAxes];
  for (int i = 0; i < view.n; ++i) {
    dims[i] = view.in[i];
    if (view.axis[i] >= 0) resized[n_resized++] = i;
  }
  int64_t most = 1;  // elements between two axes
  for (int i = 0; i < view.n; ++i) most = times(most, view.in[i] > view.out[i] ? view.in[i] : view.out[i]);
  int n_sums = 0;
  int32_t type = static_cast<int32_t>(x.type());
  for (int k = 0; k < n_resized;) {
    const int i = resized[k];
    const bool is_pair = k + 2 == n_resized && resized[k + 1] == i + 1;
    const bool is_last = is_pair || k + 1 == n_resized;
    const int64_t behind = view.volume(dims, i + 1, view.n);
    BlendStep step = {};
    ResizeBlend& blend = step.blend;
    blend.x_type = type;
    blend.outer = view.volume(dims, 0, i);
    blend.inner = 1;
    if (is_pair || behind >= kFewNeighbours) {
      blend.down = table_of(params, view, i, 1, state->tables);
      blend.in = view.in[i];
      blend.out = view.out[i];
      blend.row_in = blend.row_out = behind;
    } else {
      blend.in = blend.out = 1;
    }
    if (is_pair || behind < kFewNeighbours) {
      const int last = is_pair ? i + 1 : i;
      const int64_t inner = view.volume(dims, last + 1, view.n), group = group_of(inner, view.in[last]);
      blend.across = table_of(params, view, last, group, state->tables);
      blend.inner = inner / group;
      blend.row_in = view.in[last] * inner;
      blend.row_out = view.out[last] * inner;
    }
    dims[i] = view.out[i];
    if (is_pair) dims[i + 1] = view.out[i + 1];
    const int n_steps = static_cast<int>(state->steps.size());
    step.from = n_steps == 0 ? -1 : (n_steps - 1) % 2;
    step.to = is_last ? -1 : n_steps % 2;
    if (step.to >= n_sums) n_sums = step.to + 1;
    type = blend.y_type = is_last ? static_cast<int32_t>(x.type()) : DT_ISA::kF32;
    state->steps.push_back(step);
    k += is_pair ? 2 : 1;
  }
  state->sums_bytes = (most * 4 + 63) / 64 * 64;
  state->scratch_at = n_sums * state->sums_bytes;
  for (BlendStep& step : state->steps)
    divide(static_cast<int64_t>(setup.workspace_bytes()) - state->scratch_at, setup.n_threads(), &step);
}

ResizeState plan(const ResizeParams& params, const Descs& inputs, const Descs& outputs, const RunSetup& setup) {
  const Desc x = inputs[0], y = outputs[0];
  ResizeState state;
  state.view = view_of(y);
  state.element_bytes = size_of(y.type());
  if (y.max_volume() == 0) return state;
  const ResizeView view = resize_view(params, x, y);
  bool is_copy = true;
  for (int i = 0; i < view.n; ++i) is_copy = is_copy && view.axis[i] < 0;
  if (is_copy || params.resize_mode == kResizeNearest) {
    plan_move(params, view, setup.n_threads(), &state);
  } else {
    plan_blend(params, view, x, setup, &state);
  }
  if (params.coordinate_transformation == kResizeCropAndResize) plan_beyond(params, view, y, &state);
  return state;
}

void run_blend(Blend* kernel, const BlendStep& step, char* scratch, const Run& run) {
  const int64_t units = step.blend.units(), pieces = step.pieces;
  run.parallel_for(pieces, [&](int32_t piece) {
    kernel(step.blend, units / pieces * piece + (piece < units % pieces ? piece : units % pieces),
           units / pieces * (piece + 1) + (piece + 1 < units % pieces ? piece + 1 : units % pieces),
           scratch + piece * step.blend.scratch_bytes);
  });
}

template <Move* move, Blend* blend>
void enqueue(const ResizeParams&, ResizeState& state, const Run& run) {
  const void* const x = run.input(0).data<void>();
  void* const y = run.output(0).data<void>();
  char* const sums = run.workspace<char>();
  for (BlendStep& step : state.steps) {
    step.blend.x = step.from < 0 ? x : sums + step.from * state.sums_bytes;
    step.blend.y = step.to < 0 ? y : sums + step.to * state.sums_bytes;
    run_blend(blend, step, sums + state.scratch_at, run);
  }
  state.move.x = x;
  state.move.y = y;
  run_pieces(run, state.rows, [&](int64_t first, int64_t last) { move(state.move, first, last); });
  fill_beyond(state, static_cast<char*>(y));
  zero_padding(state.view, y, state.element_bytes);
}

#define RESIZE_ROW(isa, features, name, types_, format)     \
  {.tactic = name "_" #isa,                                 \
   .needs = features,                                       \
   .types = types_,                                         \
   .formats = format,                                       \
   .fits = fits_resize,                                     \
   .workspace = workspace,                                  \
   .enqueue = enqueue<isa::resize_move, isa::resize_blend>, \
   .plan = plan},
#define RESIZE_ROWS(isa, features)                                            \
  RESIZE_ROW(isa, features, "linear", kResizeTypes32, "linear")               \
  RESIZE_ROW(isa, features, "chw16", kResizeTypes32, "chw16 linear -> chw16") \
  RESIZE_ROW(isa, features, "hwc8", kResizeTypes32, "hwc8 linear -> hwc8")    \
  RESIZE_ROW(isa, features, "sizes64", kResizeTypes64, "linear")

constexpr Row<ResizeParams, ResizeState> kRows[] = {DOVETAIL_EACH_ISA(RESIZE_ROWS)};

}  // namespace

DOVETAIL_IMPLEMENTS("Resize@1#cpu", ResizeParams, kRows)
