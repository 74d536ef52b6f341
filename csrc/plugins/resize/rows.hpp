// SPDX-License-Identifier: Apache-2.0
// What the rows of Resize have in common on all devices.
#ifndef DOVETAIL_PLUGINS_RESIZE_ROWS_HPP
#define DOVETAIL_PLUGINS_RESIZE_ROWS_HPP

#include "kernels/layout/format.hpp"
#include "taps.hpp"

#define RESIZE_ALL "f32|f16|bf16|i32|i64|i8|u8|b8"
// Of x and sizes.
constexpr char kResizeTypes32[] = RESIZE_ALL " i32 -> " RESIZE_ALL;
constexpr char kResizeTypes64[] = RESIZE_ALL " i64 -> " RESIZE_ALL;
#undef RESIZE_ALL

constexpr int kResizeMostAxes = DT_MAX_RANK + 1;  // a blocked format has one more

// The stored tensors; axes that are not resized are one with their like neighbours.
struct ResizeView {
  int n = 0;
  int64_t in[kResizeMostAxes], out[kResizeMostAxes];
  int axis[kResizeMostAxes];  // of the layer; -1 if the axis is not resized

  int64_t volume(const int64_t* dims, int first, int last) const {
    return dovetail::detail::volume(dims + first, last - first);
  }
  int64_t volume() const { return volume(out, 0, n); }
};

inline bool is_resized(const ResizeParams& params, int axis, int64_t in, int64_t out) {
  if (params.coordinate_transformation == kResizeCropAndResize &&
      (params.roi_start[axis] != 0 || params.roi_end[axis] != 1)) {
    return true;
  }
  return in != out || (params.coordinates_by_scales && params.scale(axis, in, out) != 1);
}

// body(axis, lanes) for each stored axis in its order: an axis of the layer whose extent is divided by `lanes`, or -1
// for the lanes themselves.
template <class Body>
void each_stored_axis(int32_t format, int rank, const Body& body) {
  const dovetail::FormatTraits traits = dovetail::traits_of(format);
  if (traits.kind > 2) dovetail::fail(DT_UNSUPPORTED, "format %d is not resized", format);
  const int channels = traits.kind == 0 ? -1 : rank - traits.spatial - 1;
  if (traits.kind != 0 && channels < 0) dovetail::fail(DT_SHAPE, "rank %d is too small for format %d", rank, format);
  for (int i = 0; i < rank; ++i)
    if (i != channels || traits.kind == 1) body(i, int64_t{i == channels ? traits.lanes : 1});
  if (channels >= 0) body(traits.kind == 1 ? -1 : channels, int64_t{traits.lanes});
}

// Tensors of a run, or Descs of known extents.
template <class Tensors>
ResizeView resize_view(const ResizeParams& params, const Tensors& x, const Tensors& y) {
  const dovetail::FormatTraits traits = dovetail::traits_of(static_cast<int32_t>(x.format()));
  const int channels = traits.kind == 0 ? -1 : x.rank() - traits.spatial - 1;
  ResizeView view;
  const auto add = [&view](int axis, int64_t in, int64_t out) {
    if (axis < 0 && in == 1 && out == 1) return;
    if (axis < 0 && view.n > 0 && view.axis[view.n - 1] < 0) {
      view.in[view.n - 1] *= in;
      view.out[view.n - 1] *= out;
      return;
    }
    view.axis[view.n] = axis;
    view.in[view.n] = in;
    view.out[view.n++] = out;
  };
  each_stored_axis(static_cast<int32_t>(x.format()), x.rank(), [&](int axis, int64_t lanes) {
    if (axis < 0) return add(-1, lanes, lanes);
    const int64_t in = x.extent(axis), out = y.extent(axis);
    const bool resized = is_resized(params, axis, in, out);
    if (axis == channels) {
      if (resized) dovetail::fail(DT_SHAPE, "the channels of a blocked format are resized");
      const int64_t blocks = (in + lanes - 1) / lanes;
      return add(-1, traits.kind == 1 ? blocks : blocks * lanes, traits.kind == 1 ? blocks : blocks * lanes);
    }
    add(resized ? axis : -1, in, out);
  });
  return view;
}

inline const char* fits_resize(const ResizeParams& params, const dovetail::Descs& inputs,
                               const dovetail::Descs& outputs) {
  const dovetail::Desc x = inputs[0], y = outputs[0];
  const dovetail::DataType type = x.type();
  const bool is_blended = type == dovetail::DataType::kFLOAT || type == dovetail::DataType::kHALF ||
                          type == dovetail::DataType::kBF16 || type == dovetail::DataType::kINT8 ||
                          type == dovetail::DataType::kUINT8;
  if (params.resize_mode != kResizeNearest && !is_blended) return "elements of this type are not blended";
  const dovetail::FormatTraits traits = dovetail::traits_of(static_cast<int32_t>(x.format()));
  if (traits.kind == 0) return nullptr;
  const int channels = x.rank() - traits.spatial - 1;
  if (channels < 0 || y.rank() != x.rank()) return "there are no channels";
  const int64_t in = x.extent(channels), out = y.extent(channels);
  return in < 0 || out < 0 || is_resized(params, channels, in, out) ? "the channels are resized" : nullptr;
}

// What the tables of an axis hold at most, for extents up to these.
inline int64_t resize_most_entries(const ResizeParams& params, int axis, int64_t in, int64_t out) {
  if (in < 1 || out < 1) return 0;
  const double radius = params.radius(), larger = static_cast<double>(in > out ? in : out);
  const double taps = params.antialias && !params.coordinates_by_scales ? 0 : params.taps(axis, in, out);
  if (taps > 0) return static_cast<int64_t>(taps) * out;
  return static_cast<int64_t>(2 * radius * larger) + 2 * out;  // taps * out with taps = 2 ceil(radius * in / out)
}

// An element of a type, as bits.
inline uint64_t resize_bits(dovetail::DataType type, double value) {
  using dovetail::DataType;
  const auto whole = [value](double low, double high) {
    const double rounded = std::nearbyint(value);
    return static_cast<int64_t>(rounded > low ? (rounded < high ? rounded : high) : low);
  };
  switch (type) {
    case DataType::kFLOAT:
      return DT_ISA::bits_of(static_cast<float>(value));
    case DataType::kHALF:
      return DT_ISA::float_to_half(static_cast<float>(value));
    case DataType::kBF16:
      return DT_ISA::float_to_bf16(static_cast<float>(value));
    case DataType::kINT32:
      return static_cast<uint64_t>(whole(-2147483648.0, 2147483647.0));
    case DataType::kINT64:
      return static_cast<uint64_t>(whole(-0x1p63, 0x1.fffffffffffffp62));
    case DataType::kINT8:
      return static_cast<uint64_t>(whole(-128, 127));
    case DataType::kUINT8:
      return static_cast<uint64_t>(whole(0, 255));
    default:
      return value != 0;
  }
}

#endif
