// SPDX-License-Identifier: Apache-2.0
// Parameters with one value, one for each channel, or one for each element of the inner dims: converts them and the
// tensor to one form for the kernel. Element (o, g, i, l) of a tensor stored as
// [outer, groups, inner, lanes] takes parameter g * lanes + l.
#ifndef DOVETAIL_KERNELS_POINTWISE_PER_CHANNEL_HPP
#define DOVETAIL_KERNELS_POINTWISE_PER_CHANNEL_HPP

#include "kernels/layout/format.hpp"

DOVETAIL_OPEN_NAMESPACE

struct ParameterLayout {
  FormatView view;
  int64_t groups = 1, inner = 1, lanes = 1;
  int64_t given = 1;  // values in a parameter tensor

  int64_t parameters() const { return groups * lanes; }
};

inline int checked_axis(int64_t axis, int rank) {
  const int64_t at = axis < 0 ? axis + rank : axis;
  if (at < 0 || at >= rank) fail(DT_SHAPE, "axis %lld of a tensor of rank %d", static_cast<long long>(axis), rank);
  return static_cast<int>(at);
}

// One parameter for the whole tensor.
inline ParameterLayout one_parameter(int32_t format, const int64_t* dims, int rank) {
  ParameterLayout layout;
  layout.view = view_of(format, dims, rank);
  layout.inner = layout.view.stored();
  return layout;
}

// One for each extent of `axis`; in formats other than linear that must be their channel axis.
inline ParameterLayout parameter_per_channel(int32_t format, const int64_t* dims, int rank, int axis) {
  ParameterLayout layout;
  const FormatView& view = layout.view = view_of(format, dims, rank, axis);
  if (view.axis != axis) fail(DT_UNSUPPORTED, "axis %d is not the axis of this format's channels", axis);
  layout.given = view.channels;
  if (view.kind == 1) {
    layout.groups = view.padded / view.lanes;
    layout.inner = view.inner;
    layout.lanes = view.lanes;
  } else if (view.kind == 2 || view.inner == 1) {
    layout.lanes = view.padded;
  } else {
    layout.groups = view.channels;
    layout.inner = view.inner;
  }
  return layout;
}

// One for each element of the dims from `axis` on, repeated over those before; linear only.
inline ParameterLayout parameter_per_element(int32_t format, const int64_t* dims, int rank, int axis) {
  ParameterLayout layout;
  layout.view = view_of(format, dims, rank, axis);
  if (layout.view.kind != 0) fail(DT_UNSUPPORTED, "parameters of every element are read in the linear format only");
  layout.lanes = layout.given = layout.view.channels * layout.view.inner;
  return layout;
}

// Scales of a quantised tensor: one for all of it, or one for each extent of the axis.
inline ParameterLayout quantization_layout(int32_t format, const int64_t* dims, int rank, int64_t axis,
                                           int64_t n_scales) {
  if (n_scales == 1) return one_parameter(format, dims, rank);
  return parameter_per_channel(format, dims, rank, checked_axis(axis, rank));
}

// Float32 parameters are read where they lie unless padding lanes ask for more of them; others through a copy.
inline bool needs_copy(const ParameterLayout& layout, int32_t type) {
  return type != DT_TYPE_FLOAT || layout.given < layout.parameters();
}

inline uint64_t parameter_bytes(const ParameterLayout& layout, const Descs& inputs, int input) {
  if (!inputs.has(input) || !needs_copy(layout, static_cast<int32_t>(inputs[input].type()))) return 0;
  return static_cast<uint64_t>(layout.parameters()) * sizeof(float);
}

inline void check_parameter(const Tensor& t, const ParameterLayout& layout) {
  if (t.volume() == layout.given) return;
  fail(DT_SHAPE, "a parameter has %lld values, not %lld", static_cast<long long>(t.volume()),
       static_cast<long long>(layout.given));
}

// The parameters as the kernel reads them; null if the input is absent. A copy is taken from *scratch.
inline const float* parameters(const Run& run, int input, const ParameterLayout& layout, float padding,
                               float** scratch) {
  if (!run.has_input(input)) return nullptr;
  const Tensor t = run.input(input);
  check_parameter(t, layout);
  const int32_t type = static_cast<int32_t>(t.type());
  if (!needs_copy(layout, type)) return t.data<const float>();
  float* copy = *scratch;
  *scratch += layout.parameters();
  for (int64_t i = 0; i < layout.parameters(); ++i) {
    copy[i] = i < layout.given ? read_float(t.data<void>(), type, i) : padding;
  }
  return copy;
}

DOVETAIL_CLOSE_NAMESPACE

#endif
