// SPDX-License-Identifier: Apache-2.0
// The addresses of a tensor's elements in each format, and the division of work among the host's threads.
// For rows files; kernels get pointers and numbers.
#ifndef DOVETAIL_KERNELS_LAYOUT_FORMAT_HPP
#define DOVETAIL_KERNELS_LAYOUT_FORMAT_HPP

#include "dovetail/plugin.hpp"
#include "kernels/simd/convert.hpp"

namespace DT_ISA {
static_assert(kF32 == DT_TYPE_FLOAT && kF16 == DT_TYPE_HALF && kI8 == DT_TYPE_INT8 && kI32 == DT_TYPE_INT32, "");
static_assert(kB8 == DT_TYPE_BOOL && kU8 == DT_TYPE_UINT8 && kF8 == DT_TYPE_FP8 && kBF16 == DT_TYPE_BF16, "");
static_assert(kI64 == DT_TYPE_INT64, "");
}  // namespace DT_ISA

DOVETAIL_OPEN_NAMESPACE

using DT_ISA::read_float;

struct FormatTraits {
  int lanes, kind, spatial;  // columns of DT_TENSOR_FORMATS
};

inline FormatTraits traits_of(int32_t format) {
#define DT_TRAITS_CASE(name, value, lanes, kind, spatial, word) \
  if (format == value) return {lanes, kind, spatial};
  DT_TENSOR_FORMATS(DT_TRAITS_CASE)
#undef DT_TRAITS_CASE
  fail(DT_INVALID_ARGUMENT, "format %d is not known", format);
}

// A tensor as [outer, channels, inner]; linear tensors are all inner. In blocked formats (kind 1) its layout is
// [outer, ceil(channels / lanes), inner, lanes], with channels last (kind 2) as [outer, inner, padded].
struct FormatView {
  int kind = 0;
  int axis = 0;  // of the channels
  int64_t lanes = 1, outer = 1, channels = 1, inner = 1;
  int64_t padded = 1;  // channels as stored

  int64_t stored() const { return outer * padded * inner; }
  bool has_padding() const { return padded != channels; }
};

// `channel_axis` says where a linear tensor has its channels; other formats know.
inline FormatView view_of(int32_t format, const int64_t* dims, int rank, int channel_axis = -1) {
  const FormatTraits traits = traits_of(format);
  if (traits.kind > 2) fail(DT_INVALID_ARGUMENT, "format %d is not computed with", format);
  FormatView view;
  view.kind = traits.kind;
  view.lanes = traits.lanes;
  view.axis = traits.kind == 0 ? channel_axis : rank - traits.spatial - 1;
  if (traits.kind != 0 && view.axis < 0) fail(DT_SHAPE, "rank %d is too small for format %d", rank, format);
  for (int i = 0; i < rank; ++i) (i < view.axis ? view.outer : i == view.axis ? view.channels : view.inner) *= dims[i];
  view.padded = (view.channels + view.lanes - 1) / view.lanes * view.lanes;
  return view;
}

inline FormatView view_of(const Tensor& t, int channel_axis = -1) {
  return view_of(static_cast<int32_t>(t.format()), t.dims(), t.rank(), channel_axis);
}

// With the largest extents; in a row's plan these are the extents.
inline FormatView view_of(const Desc& desc, int channel_axis = -1) {
  return view_of(static_cast<int32_t>(desc.format()), desc.max(), desc.rank(), channel_axis);
}

// Kernels that write padded formats set the padding lanes to zero; kernels that read them do not rely on that.
inline void zero_padding(const FormatView& view, void* data, int64_t element_bytes) {
  if (!view.has_padding()) return;
  char* bytes = static_cast<char*>(data);
  if (view.kind == 1) {
    const int64_t used = view.channels % view.lanes, row = view.lanes * element_bytes;
    const int64_t plane = view.inner * row, image = view.padded / view.lanes * plane;
    for (int64_t n = 0; n < view.outer; ++n) {
      char* block = bytes + (n + 1) * image - plane;
      for (int64_t i = 0; i < view.inner; ++i) {
        std::memset(block + i * row + used * element_bytes, 0,
                    static_cast<size_t>((view.lanes - used) * element_bytes));
      }
    }
  } else {
    const int64_t row = view.padded * element_bytes, used = view.channels * element_bytes;
    for (int64_t i = 0; i < view.outer * view.inner; ++i) {
      std::memset(bytes + i * row + used, 0, static_cast<size_t>(row - used));
    }
  }
}

// Items [0, n) cut for the host's threads: `count` pieces of `each` items, of which the last may have fewer.
struct Pieces {
  int64_t n = 0, each = 0;
  int32_t count = 0;
};

// As many pieces as the work is worth. `work` is bytes or operations an item, in floating point since products of
// extents grow beyond 64 bits; all pieces but the last hold a multiple of `grain` items.
inline Pieces cut(int64_t n, double work, int64_t grain, int n_threads) {
  if (n <= 0) return {};
  constexpr double kWorthThread = 20000;  // some microseconds; waking a thread costs about one
  const int64_t grains = (n + grain - 1) / grain;
  const double worth = static_cast<double>(n) * (work > 1 ? work : 1) / kWorthThread;
  int64_t pieces = worth < n_threads ? static_cast<int64_t>(worth) : n_threads;
  if (pieces > grains) pieces = grains;
  if (pieces <= 1) return {n, n, 1};
  return {n, (grains + pieces - 1) / pieces * grain, static_cast<int32_t>(pieces)};
}

// Calls body(first, last) for each piece.
template <class Body>
void run_pieces(const Run& run, const Pieces& pieces, const Body& body) {
  if (pieces.count == 1) {
    body(int64_t{0}, pieces.n);
  } else if (pieces.count > 1) {
    run.parallel_for(pieces.count, [&](int32_t piece) {
      const int64_t first = piece * pieces.each, last = first + pieces.each < pieces.n ? first + pieces.each : pieces.n;
      if (first < last) body(first, last);
    });
  }
}

// The same for work that is cut in each run.
template <class Body>
void parallel_ranges(const Run& run, int64_t n, double work, int64_t grain, const Body& body) {
  run_pieces(run, cut(n, work, grain, run.n_threads()), body);
}

// ROW(..., "linear") ROW(..., "chw16") ...: one row for each format that layers compute with, the common ones first.
#define DOVETAIL_EACH_FORMAT(ROW, ...) \
  ROW(__VA_ARGS__, "linear")           \
  ROW(__VA_ARGS__, "chw16")            \
  ROW(__VA_ARGS__, "hwc")              \
  ROW(__VA_ARGS__, "chw2")             \
  ROW(__VA_ARGS__, "chw4")             \
  ROW(__VA_ARGS__, "chw32")            \
  ROW(__VA_ARGS__, "hwc8")             \
  ROW(__VA_ARGS__, "hwc16")            \
  ROW(__VA_ARGS__, "dhwc8")            \
  ROW(__VA_ARGS__, "cdhw32")

// The same for one instruction set: DOVETAIL_EACH_ISA_WITH(DOVETAIL_EACH_FORMAT_OF, ROW) makes ROW(isa, needs, format).
#define DOVETAIL_EACH_FORMAT_OF(isa, needs, ROW) DOVETAIL_EACH_FORMAT(ROW, isa, needs)

DOVETAIL_CLOSE_NAMESPACE

#endif
