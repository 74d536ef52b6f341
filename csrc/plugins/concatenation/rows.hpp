// SPDX-License-Identifier: Apache-2.0
// What the rows of Concatenation have in common on all devices.
#ifndef DOVETAIL_PLUGINS_CONCATENATION_ROWS_HPP
#define DOVETAIL_PLUGINS_CONCATENATION_ROWS_HPP

#include "concatenation.hpp"
#include "kernels/copy/strided_copy.hpp"

constexpr char kConcatenationTypes[] = DOVETAIL_MOVED_TYPES "... -> " DOVETAIL_MOVED_TYPES;

// Calls copy(part, x) for each input; its place in y is in the part. steps_of(tensor).step: distances of neighbours on
// each axis.
template <class StepsOf, class Copy>
void for_parts(const ConcatenationParams& params, const dovetail::Run& run, const StepsOf& steps_of, const Copy& copy) {
  const dovetail::Tensor y = run.output(0);
  const int axis = params.axis_of(y.rank());
  const auto to = steps_of(y);
  int64_t at = 0;
  for (int i = 0; i < run.n_inputs(); ++i) {
    const dovetail::Tensor x = run.input(i);
    const auto from = steps_of(x);
    dovetail::StridedCopy part(dovetail::size_of(y.type()));
    for (int k = 0; k < x.rank(); ++k) part.add(x.extent(k), from.step[k], to.step[k]);
    part.to = at * to.step[axis];
    at += x.extent(axis);
    copy(part, x.data<void>());
  }
}

inline dovetail::RowMajor row_major(const dovetail::Tensor& t) { return {t.dims(), t.rank()}; }

#endif
