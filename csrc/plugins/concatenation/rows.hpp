// SPDX-License-Identifier: Apache-2.0
// What the rows of Concatenation have in common on all devices.
#ifndef DOVETAIL_PLUGINS_CONCATENATION_ROWS_HPP
#define DOVETAIL_PLUGINS_CONCATENATION_ROWS_HPP

#include "concatenation.hpp"
#include "dovetail/strided_copy.hpp"

constexpr char kConcatenationTypes[] = DOVETAIL_MOVED_TYPES "... -> " DOVETAIL_MOVED_TYPES;

// The axis from the front; -1 if y has none such.
template <class Y>
int concatenation_axis(const ConcatenationParams& params, const Y& y) {
  const int64_t axis = params.axis < 0 ? params.axis + y.rank() : params.axis;
  return axis >= 0 && axis < y.rank() ? static_cast<int>(axis) : -1;
}

// Null, or why x cannot be a part of y; `total` grows by what it takes of the axis.
template <class X>
const char* part_fault(const X& x, const X& y, int axis, int64_t* total) {
  if (x.rank() != y.rank()) return "the ranks of an input and the output differ";
  for (int i = 0; i < y.rank(); ++i) {
    if (i != axis && x.dims()[i] != y.dims()[i]) return "an input differs from the output beside the axis";
  }
  *total += x.dims()[axis];
  return nullptr;
}

inline const char* fits_concatenation(const ConcatenationParams& params, const dovetail::Descs& inputs,
                                      const dovetail::Descs& outputs) {
  const dovetail::Desc y = outputs[0];
  const int axis = concatenation_axis(params, y);
  if (axis < 0) return "the output has no such axis";
  bool is_dynamic = y.is_dynamic();
  int64_t total = 0;
  for (int i = 0; i < inputs.size(); ++i) {
    if (!inputs.has(i)) return "an input is missing";
    if (inputs[i].rank() != y.rank()) return "the ranks of an input and the output differ";
    is_dynamic = is_dynamic || inputs[i].is_dynamic();
  }
  if (is_dynamic) return nullptr;  // looked at when the extents are known
  for (int i = 0; i < inputs.size(); ++i) {
    if (const char* fault = part_fault(inputs[i], y, axis, &total)) return fault;
  }
  return total == y.extent(axis) ? nullptr : "the output's extent is not the sum of the inputs'";
}

// Calls copy(part, x) for each input; its place in y is in the part.
template <class Copy>
void for_parts(const ConcatenationParams& params, const dovetail::Run& run, const Copy& copy) {
  const dovetail::Tensor y = run.output(0);
  const int axis = concatenation_axis(params, y);
  if (axis < 0) dovetail::fail(DT_SHAPE, "the output has no such axis");
  int64_t total = 0;
  for (int i = 0; i < run.n_inputs(); ++i) {
    if (!run.has_input(i)) dovetail::fail(DT_SHAPE, "input %d is missing", i);
    if (const char* fault = part_fault(run.input(i), y, axis, &total)) dovetail::fail(DT_SHAPE, "%s", fault);
  }
  if (total != y.extent(axis)) dovetail::fail(DT_SHAPE, "the output's extent is not the sum of the inputs'");
  const dovetail::RowMajor to(y.dims(), y.rank());
  int64_t at = 0;
  for (int i = 0; i < run.n_inputs(); ++i) {
    const dovetail::Tensor x = run.input(i);
    const dovetail::RowMajor from(x.dims(), x.rank());
    dovetail::StridedCopy part(dovetail::size_of(y.type()));
    for (int k = 0; k < x.rank(); ++k) part.add(x.extent(k), from.step[k], to.step[k]);
    part.to = at * to.step[axis];
    at += x.extent(axis);
    copy(part, x.data<void>());
  }
}

#endif
