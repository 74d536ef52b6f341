// SPDX-License-Identifier: Apache-2.0
// What the rows of Shuffle have in common on all devices.
#ifndef DOVETAIL_PLUGINS_SHUFFLE_ROWS_HPP
#define DOVETAIL_PLUGINS_SHUFFLE_ROWS_HPP

#include "kernels/copy/reshape_rows.hpp"
#include "shuffle.hpp"

// An order of `rank` axes, of which an empty list is the one that there is.
struct AxisOrder {
  int axis[DT_MAX_RANK] = {};
  bool is_identity = true;
  AxisOrder(const dovetail::Ints& given, int rank) {
    for (int i = 0; i < rank; ++i) {
      axis[i] = given.n == 0 ? i : static_cast<int>(given[i]);
      is_identity = is_identity && axis[i] == i;
    }
  }
};

// One or two copies; the second reads what the first has written to the workspace.
struct ShuffleCopies {
  dovetail::StridedCopy first, second;
  bool is_one = true;
};

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

inline ShuffleCopies plan_shuffle(const ShuffleParams& params, const dovetail::Tensor& x, const dovetail::Tensor& y) {
  const int64_t bytes = dovetail::size_of(x.type());
  const AxisOrder first(params.first_transpose, x.rank()), second(params.second_transpose, y.rank());
  int64_t reshaped[DT_MAX_RANK];
  for (int i = 0; i < y.rank(); ++i) reshaped[second.axis[i]] = y.extent(i);
  bool keeps_dims = x.rank() == y.rank();
  for (int i = 0; i < x.rank(); ++i) keeps_dims = keeps_dims && x.extent(first.axis[i]) == reshaped[i];
  ShuffleCopies copies = {transpose_of(x.dims(), first, x.rank(), bytes),
                          transpose_of(reshaped, second, y.rank(), bytes)};
  if (is_trivial(copies.second)) return copies;
  if (is_trivial(copies.first)) {
    copies.first = copies.second;
  } else if (keeps_dims) {
    AxisOrder both = second;
    for (int i = 0; i < y.rank(); ++i) both.axis[i] = first.axis[second.axis[i]];
    copies.first = transpose_of(x.dims(), both, y.rank(), bytes);
  } else {
    copies.is_one = false;
  }
  return copies;
}

inline ShuffleCopies shuffle_copies(const ShuffleParams& params, const dovetail::Run& run) {
  const dovetail::Tensor x = run.input(0);
  const ShuffleCopies copies = plan_shuffle(params, x, run.output(0));
  const uint64_t needed = copies.is_one ? 0 : static_cast<uint64_t>(x.volume() * dovetail::size_of(x.type()));
  if (run.workspace_bytes() < needed) dovetail::fail(DT_SHAPE, "the workspace is too small for the extents");
  return copies;
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
