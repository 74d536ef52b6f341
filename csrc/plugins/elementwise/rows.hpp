// SPDX-License-Identifier: Apache-2.0
// What the rows of ElementWise have in common on all devices.
#ifndef DOVETAIL_PLUGINS_ELEMENTWISE_ROWS_HPP
#define DOVETAIL_PLUGINS_ELEMENTWISE_ROWS_HPP

#include "dovetail/format.hpp"
#include "elementwise.hpp"
#include "operations.hpp"

#define ARITHMETIC "f32|f16|bf16|i32|i64"
#define COMPARED "f32|f16|bf16|i32|i64|b8"
constexpr char kArithmeticTypes[] = ARITHMETIC " " ARITHMETIC " -> " ARITHMETIC;
constexpr char kComparisonTypes[] = COMPARED " " COMPARED " -> b8|b8|b8|b8|b8|b8";
#undef ARITHMETIC
#undef COMPARED

// Extents in the order of storage, lanes of a blocked format last.
struct Stored {
  int rank = 0;
  int64_t dims[kElementwiseRank];
  void add(int64_t extent) { dims[rank++] = extent; }
};

inline Stored stored(const dovetail::Tensor& t) {
  const dovetail::FormatView view = dovetail::view_of(t);
  Stored s;
  for (int i = 0; i < t.rank(); ++i) {
    if (view.kind == 0 || i != view.axis) s.add(t.extent(i));
    if (view.kind == 1 && i == view.axis) s.add(view.padded / view.lanes);
  }
  if (view.kind == 1) s.add(view.lanes);
  if (view.kind == 2) s.add(view.padded);
  return s;
}

// Joins axes along which both inputs run on without a gap: most cases end as one or two axes.
inline void set_broadcast(Broadcast* args, const dovetail::Tensor& left, const dovetail::Tensor& right) {
  const Stored a = stored(left), b = stored(right);
  struct Axis {
    int64_t n, a, b;
  } axes[kElementwiseRank + 1];
  int n_axes = 0;  // innermost first
  int64_t a_step = 1, b_step = 1;
  for (int i = a.rank - 1; i >= 0; --i) {
    const int64_t n = a.dims[i] == 1 ? b.dims[i] : a.dims[i];
    const Axis axis = {n, a.dims[i] == 1 ? 0 : a_step, b.dims[i] == 1 ? 0 : b_step};
    a_step *= a.dims[i];
    b_step *= b.dims[i];
    if (n == 1) continue;
    Axis* last = n_axes > 0 ? &axes[n_axes - 1] : nullptr;
    if (last && axis.a == last->a * last->n && axis.b == last->b * last->n) {
      last->n *= n;
    } else {
      axes[n_axes++] = axis;
    }
  }
  if (n_axes == 0) axes[n_axes++] = {1, 1, 1};
  if (n_axes == 1) axes[n_axes++] = {1, 0, 0};
  args->columns = axes[0].n;
  args->a_column = axes[0].a;
  args->b_column = axes[0].b;
  args->rank = n_axes - 1;
  for (int i = 1; i < n_axes; ++i) {
    args->dims[n_axes - 1 - i] = axes[i].n;
    args->a_stride[n_axes - 1 - i] = axes[i].a;
    args->b_stride[n_axes - 1 - i] = axes[i].b;
  }
}

inline const char* fits_elementwise(const ElementwiseParams& params, const dovetail::Descs& inputs,
                                    const dovetail::Descs& outputs) {
  const bool is_logical = params.op == kAnd || params.op == kOr || params.op == kXor;
  const bool gives_bool = is_logical || params.op == kEqual || params.op == kGreater || params.op == kLess;
  const bool takes_bool = inputs[0].type() == dovetail::DataType::kBOOL;
  if (is_logical && !takes_bool) return "AND, OR and XOR take BOOL";
  if (takes_bool && !is_logical && params.op != kEqual) return "BOOL takes AND, OR, XOR and EQUAL";
  if (gives_bool != (outputs[0].type() == dovetail::DataType::kBOOL))
    return "only comparisons and logical ops give BOOL";
  const dovetail::FormatTraits traits = dovetail::traits_of(static_cast<int32_t>(outputs[0].format()));
  if (traits.kind == 0) return nullptr;
  const int a_axis = inputs[0].rank() - traits.spatial - 1, b_axis = inputs[1].rank() - traits.spatial - 1;
  if (a_axis != b_axis) return "the inputs' ranks differ";
  if (inputs[0].extent(a_axis) < 0 || inputs[0].extent(a_axis) != inputs[1].extent(b_axis)) {
    return "channels are not equal, and only the linear format repeats them";
  }
  return nullptr;
}

#endif
