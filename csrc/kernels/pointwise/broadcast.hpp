// SPDX-License-Identifier: Apache-2.0
// Pointwise layers of several inputs with broadcasting, for their rows on all devices: checks of extents, iteration
// over inputs in any format, and division of the work among the host's threads.
#ifndef DOVETAIL_KERNELS_POINTWISE_BROADCAST_HPP
#define DOVETAIL_KERNELS_POINTWISE_BROADCAST_HPP

#include "kernels/layout/format.hpp"
#include "kernels/pointwise/broadcast_args.hpp"
#include "kernels/pointwise/epilogue.hpp"

DOVETAIL_OPEN_NAMESPACE

// Extents in the order of storage, lanes of a blocked format last.
struct Stored {
  int rank = 0;
  int64_t dims[kBroadcastRank];
  void add(int64_t extent) { dims[rank++] = extent; }
};

// Of a Tensor, or a Desc of known extents.
template <class View>
Stored stored(const View& t) {
  const FormatView view = view_of(t);
  Stored s;
  for (int i = 0; i < t.rank(); ++i) {
    if (view.kind == 0 || i != view.axis) s.add(t.extent(i));
    if (view.kind == 1 && i == view.axis) s.add(view.padded / view.lanes);
  }
  if (view.kind == 1) s.add(view.lanes);
  if (view.kind == 2) s.add(view.padded);
  return s;
}

// Joins axes along which all inputs run on without a gap: most cases end as one or two axes. The inputs are of one rank
// and one format.
template <int n_inputs, class View>
void set_broadcast(Broadcast<n_inputs>* args, const View (&inputs)[n_inputs]) {
  struct Axis {
    int64_t n, stride[n_inputs];
  } axes[kBroadcastRank + 1];
  int n_axes = 0;  // innermost first
  int64_t step[n_inputs];
  Stored all[n_inputs];
  for (int k = 0; k < n_inputs; ++k) {
    all[k] = stored(inputs[k]);
    step[k] = 1;
  }
  for (int i = all[0].rank - 1; i >= 0; --i) {
    Axis axis = {};
    axis.n = 1;
    for (int k = 0; k < n_inputs; ++k) {
      const int64_t extent = all[k].dims[i];
      if (extent != 1) axis.n = extent;
      axis.stride[k] = extent == 1 ? 0 : step[k];
      step[k] *= extent;
    }
    if (axis.n == 1) continue;
    Axis* last = n_axes > 0 ? &axes[n_axes - 1] : nullptr;
    bool goes_on = last != nullptr;
    for (int k = 0; goes_on && k < n_inputs; ++k) goes_on = axis.stride[k] == last->stride[k] * last->n;
    if (goes_on) {
      last->n *= axis.n;
    } else {
      axes[n_axes++] = axis;
    }
  }
  if (n_axes == 0) {
    Axis axis = {};
    axis.n = 1;
    for (int k = 0; k < n_inputs; ++k) axis.stride[k] = 1;
    axes[n_axes++] = axis;
  }
  if (n_axes == 1) {
    axes[n_axes] = {};
    axes[n_axes++].n = 1;
  }
  args->rank = n_axes - 1;
  args->columns = axes[0].n;
  for (int k = 0; k < n_inputs; ++k) args->column[k] = axes[0].stride[k];
  for (int i = 1; i < n_axes; ++i) {
    args->dims[n_axes - 1 - i] = axes[i].n;
    for (int k = 0; k < n_inputs; ++k) args->stride[k][n_axes - 1 - i] = axes[i].stride[k];
  }
}

// What a row of such a layer plans. Rows are cut for the threads, or where those are few the columns.
template <class Args>
struct BroadcastState {
  Args args = {};
  bool are_rows_cut = false;
  Pieces pieces;
  FormatView view;  // of y
  int64_t element_bytes = 0;
  PointwiseEpilogue epilogue = {};

  // With the inputs in `args`; `work` is bytes or operations an element.
  void divide(const Desc& y, double work, int n_threads, const Epilogue& program = Epilogue(nullptr)) {
    view = view_of(y);
    epilogue = planned_pointwise(program, y);
    work += cost_of(epilogue);
    element_bytes = size_of(y.type());
    if (view.stored() == 0) return;
    const int64_t rows = args.rows();
    are_rows_cut = rows >= 4 * n_threads;
    pieces = are_rows_cut ? cut(rows, work * static_cast<double>(args.columns), 1, n_threads)
                          : cut(args.columns, work * static_cast<double>(rows), 64, n_threads);
  }
  // kernel(args, first_row, last_row, first_column, last_column) for each piece. `finish`: of rows that absorb.
  template <class Kernel>
  void run(const Run& run, Kernel kernel, PointwiseFinish finish = nullptr) {
    set_operands(run, &epilogue.program);
    const auto compute = [&](int64_t first_row, int64_t last_row, int64_t first_column, int64_t last_column) {
      if (epilogue.program.n_steps == 0) return kernel(args, first_row, last_row, first_column, last_column);
      finished(first_row, last_row, first_column, last_column, kernel, finish);
    };
    run_pieces(run, pieces, [&](int64_t first, int64_t last) {
      if (are_rows_cut) {
        compute(first, last, 0, args.columns);
      } else {
        compute(0, args.rows(), first, last);
      }
    });
    zero_padding(view, args.y, element_bytes);
  }

 private:
  // In chunks: whole rows, or parts of one.
  template <class Kernel>
  void finished(int64_t first_row, int64_t last_row, int64_t first_column, int64_t last_column, Kernel kernel,
                PointwiseFinish finish) const {
    const bool are_whole = first_column == 0 && last_column == args.columns && args.columns <= kPointwiseChunk;
    const int64_t most_rows = are_whole ? kPointwiseChunk / args.columns : 1;
    for (int64_t row = first_row, rows; row < last_row; row += rows) {
      rows = last_row - row < most_rows ? last_row - row : most_rows;
      for (int64_t column = first_column, columns; column < last_column; column += columns) {
        const int64_t rest = last_column - column;
        columns = rest < kPointwiseChunk ? rest : kPointwiseChunk;
        kernel(args, row, row + rows, column, column + columns);
        const int64_t at = row * args.columns + column;
        finish(epilogue, static_cast<float*>(args.y) + at, at, rows * columns);
      }
    }
  }
};

// A format with lanes cannot repeat channels: null, or why the first n inputs do not go together in theirs.
inline const char* fits_broadcast(const Descs& inputs, int n) {
  const FormatTraits traits = traits_of(static_cast<int32_t>(inputs[0].format()));
  for (int k = 1; k < n; ++k) {
    if (inputs[k].rank() != inputs[0].rank()) return "the inputs' ranks differ";
  }
  if (traits.kind == 0) return nullptr;
  const int axis = inputs[0].rank() - traits.spatial - 1;
  for (int k = 0; k < n; ++k) {
    if (inputs[k].extent(axis) < 0 || inputs[k].extent(axis) != inputs[0].extent(axis)) {
      return "channels are not equal, and only the linear format repeats them";
    }
  }
  return nullptr;
}

// Throws unless y has the extents of the first n inputs, in which those of 1 are repeated.
inline void expect_broadcast(const Shapes& inputs, int n, const char* const* names, const Shapes& outputs) {
  const Shape first = inputs.get(0, names[0]);
  int64_t wanted[DT_MAX_RANK];
  for (int i = 0; i < first.rank(); ++i) wanted[i] = first[i];
  for (int k = 1; k < n; ++k) {
    const Shape other = inputs.get(k, names[k]);
    if (other.rank() != first.rank())
      fail(DT_SHAPE, nowhere("%s has rank %d, %s has %d"), names[0], first.rank(), names[k], other.rank());
    for (int i = 0; i < first.rank(); ++i) {
      if (other[i] != wanted[i] && other[i] != 1 && wanted[i] != 1) {
        fail(DT_SHAPE, nowhere("%s has %lld on axis %d, those before it have %lld"), names[k],
             static_cast<long long>(other[i]), i, static_cast<long long>(wanted[i]));
      }
      if (wanted[i] == 1) wanted[i] = other[i];
    }
  }
  expect_dims(outputs.get(0, "y"), wanted, first.rank());
}

DOVETAIL_CLOSE_NAMESPACE

#endif
