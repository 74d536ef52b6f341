// SPDX-License-Identifier: Apache-2.0
// What the rows of Shuffle have in common on all devices.
#ifndef DOVETAIL_PLUGINS_SHUFFLE_ROWS_HPP
#define DOVETAIL_PLUGINS_SHUFFLE_ROWS_HPP

#include "dovetail/reshape_rows.hpp"
#include "shuffle.hpp"

// An order of `rank` axes, of which an empty list is the one that there is.
struct AxisOrder {
  int axis[DT_MAX_RANK] = {};
  bool is_legal = true, is_identity = true;
  AxisOrder(const dovetail::Ints& given, int rank) {
    is_legal = given.n == 0 || given.n == rank;
    unsigned seen = 0;
    for (int i = 0; i < rank && is_legal; ++i) {
      const int64_t from = given.n == 0 ? i : given[i];
      is_legal = from >= 0 && from < rank && !(seen >> from & 1);
      if (!is_legal) return;
      seen |= 1u << from;
      axis[i] = static_cast<int>(from);
      is_identity = is_identity && from == i;
    }
  }
};

// One or two copies; the second reads what the first has written to the workspace.
struct ShuffleCopies {
  dovetail::StridedCopy first, second;
  bool is_one = true;
};

inline const char* order_fault(const AxisOrder& first, const AxisOrder& second) {
  if (!first.is_legal) return "first_transpose is no order of x's axes";
  if (!second.is_legal) return "second_transpose is no order of the output's axes";
  return nullptr;
}

inline bool is_trivial(dovetail::StridedCopy copy) {
  dovetail::collapse(&copy);
  return copy.rank == 0 || (copy.rank == 1 && copy.axes[0].from == 1 && copy.axes[0].to == 1);
}

// From dense `source` to its axes in another order.
inline dovetail::StridedCopy transpose_of(const int64_t* source, const AxisOrder& order, int rank, int64_t bytes) {
  dovetail::StridedCopy copy(bytes);
  int64_t dims[DT_MAX_RANK];
  for (int i = 0; i < rank; ++i) dims[i] = source[order.axis[i]];
  const dovetail::RowMajor from(source, rank), to(dims, rank);
  for (int i = 0; i < rank; ++i) copy.add(dims[i], from.step[order.axis[i]], to.step[i]);
  return copy;
}

// Null, or why there are no such copies.
inline const char* plan_shuffle(const ShuffleParams& params, const int64_t* x, int x_rank, const int64_t* y, int y_rank,
                                int64_t bytes, ShuffleCopies* copies) {
  const AxisOrder first(params.first_transpose, x_rank), second(params.second_transpose, y_rank);
  if (const char* fault = order_fault(first, second)) return fault;
  if (dovetail::detail::volume(x, x_rank) != dovetail::detail::volume(y, y_rank)) {
    return "x and the output have different numbers of elements";
  }
  int64_t reshaped[DT_MAX_RANK], transposed[DT_MAX_RANK];
  for (int i = 0; i < y_rank; ++i) reshaped[second.axis[i]] = y[i];
  bool keeps_dims = x_rank == y_rank;
  for (int i = 0; i < x_rank; ++i) {
    transposed[i] = x[first.axis[i]];
    keeps_dims = keeps_dims && transposed[i] == reshaped[i];
  }
  copies->first = transpose_of(x, first, x_rank, bytes);
  copies->second = transpose_of(reshaped, second, y_rank, bytes);
  copies->is_one = true;
  if (is_trivial(copies->second)) return nullptr;
  if (is_trivial(copies->first)) {
    copies->first = copies->second;
  } else if (keeps_dims) {
    AxisOrder both = second;
    for (int i = 0; i < y_rank; ++i) both.axis[i] = first.axis[second.axis[i]];
    copies->first = transpose_of(x, both, y_rank, bytes);
  } else {
    copies->is_one = false;
  }
  return nullptr;
}

inline ShuffleCopies shuffle_copies(const ShuffleParams& params, const dovetail::Run& run) {
  const dovetail::Tensor x = run.input(0), y = run.output(0);
  const int64_t bytes = dovetail::size_of(x.type());
  ShuffleCopies copies = {dovetail::StridedCopy(bytes), dovetail::StridedCopy(bytes)};
  const char* fault = plan_shuffle(params, x.dims(), x.rank(), y.dims(), y.rank(), bytes, &copies);
  if (fault) dovetail::fail(DT_SHAPE, "%s", fault);
  const uint64_t needed = copies.is_one ? 0 : static_cast<uint64_t>(x.volume() * bytes);
  if (run.workspace_bytes() < needed) dovetail::fail(DT_SHAPE, "the workspace is too small for the extents");
  return copies;
}

inline const char* fits_shuffle(const ShuffleParams& params, const dovetail::Descs& inputs,
                                const dovetail::Descs& outputs) {
  const dovetail::Desc x = inputs[0], y = outputs[0];
  const AxisOrder first(params.first_transpose, x.rank()), second(params.second_transpose, y.rank());
  if (const char* fault = order_fault(first, second)) return fault;
  if (x.is_dynamic() || y.is_dynamic()) return nullptr;  // looked at when the extents are known
  ShuffleCopies copies = {dovetail::StridedCopy(1), dovetail::StridedCopy(1)};
  return plan_shuffle(params, x.dims(), x.rank(), y.dims(), y.rank(), 1, &copies);
}

// Between two transpositions that cannot be one.
inline uint64_t shuffle_workspace(const ShuffleParams& params, const dovetail::Descs& inputs,
                                  const dovetail::Descs& outputs, int) {
  const dovetail::Desc x = inputs[0], y = outputs[0];
  const AxisOrder first(params.first_transpose, x.rank()), second(params.second_transpose, y.rank());
  const bool is_one = first.is_identity || second.is_identity;
  return is_one ? 0 : static_cast<uint64_t>(x.max_volume() * dovetail::size_of(x.type()));
}

#endif
