// SPDX-License-Identifier: Apache-2.0
// Slice@1#cpu.
#include "kernels/copy/blocked_dims.hpp"
#include "kernels/copy/channel_lanes.hpp"
#include "rows.hpp"

using namespace dovetail;

namespace {

int64_t element(const Tensor& t, int i) {
  return t.type() == DataType::kINT64 ? t.data<const int64_t>()[i] : t.data<const int32_t>()[i];
}

uint64_t workspace(const SliceParams& params, const Descs& inputs, const Descs& outputs, int) {
  if (params.mode == kStrictBounds && !inputs.has(kStart) && !inputs.has(kStride)) return 0;
  return static_cast<uint64_t>(windowed::table_size(outputs[0].raw()->max, outputs[0].rank())) * sizeof(int64_t);
}

void enqueue(const SliceParams& params, const Run& run) {
  Window window = window_of(params, run);
  for (int i = 0; i < window.rank; ++i) {
    if (run.has_input(kStart)) window.axes[i].start = element(run.input(kStart), i);
    if (run.has_input(kStride)) window.axes[i].step = element(run.input(kStride), i);
  }
  const void* x = run.input(kSliced).data<void>();
  const Tensor y = run.output(0);
  if (y.volume() == 0) return;
  if (params.mode == kStrictBounds && window_fault(window) == nullptr) {
    return copy_strided(run, strided_copy_of(window), x, y.data<void>());
  }
  const uint64_t needed = static_cast<uint64_t>(windowed::table_size(y.dims(), y.rank())) * sizeof(int64_t);
  if (run.workspace_bytes() < needed) fail(DT_SHAPE, "the workspace is too small for the extents");
  static const uint64_t kZero = 0;
  const void* value = run.has_input(kFillValue) ? run.input(kFillValue).data<void>() : &kZero;
  copy_window(run, window, x, y.data<void>(), value, run.workspace<int64_t>());
}

// Whole blocks of channels, and any part of the other axes.
const char* fits_blocks(const SliceParams& params, const Descs& inputs, const Descs& outputs) {
  const Desc x = inputs[kSliced];
  if (params.mode != kStrictBounds || inputs.has(kStart) || inputs.has(kStride)) return "a part that is not known";
  if (const char* const reason = fits_whole_blocks(x)) return reason;
  if (const char* const reason = fits_whole_blocks(outputs[0])) return reason;
  const BlockedDims blocked(static_cast<int32_t>(x.format()), x.dims(), x.rank());
  const int channel = blocked.channel_axis;
  return params.start[channel] % blocked.lanes == 0 && params.stride[channel] == 1 ? nullptr
                                                                                   : "parts of blocks of channels";
}

void enqueue_blocks(const SliceParams& params, const Run& run) {
  const Tensor x = run.input(kSliced), y = run.output(0);
  const BlockedDims source(static_cast<int32_t>(x.format()), x.dims(), x.rank());
  const BlockedDims target(static_cast<int32_t>(y.format()), y.dims(), y.rank());
  const RowMajor from(source.dims, source.rank), to(target.dims, target.rank);
  StridedCopy part(size_of(x.type()));
  for (int i = 0; i < x.rank(); ++i) {
    part.from += params.start[i] / (i == source.channel_axis ? source.lanes : 1) * from.step[i];
    part.add(target.dims[i], from.step[i] * params.stride[i], to.step[i]);
  }
  part.add(source.lanes, 1, 1);
  if (y.volume() > 0) copy_strided(run, part, x.data<void>(), y.data<void>());
}

// Any channels, and the other axes as they are.
const char* fits_lanes(const SliceParams& params, const Descs& inputs, const Descs& outputs) {
  const Desc x = inputs[kSliced], y = outputs[0];
  if (params.mode != kStrictBounds || inputs.has(kStart) || inputs.has(kStride)) return "a part that is not known";
  if (fits_blocks(params, inputs, outputs) == nullptr) return "whole blocks of channels, which are copied";
  const int channel_axis = x.rank() - traits_of(static_cast<int32_t>(x.format())).spatial - 1;
  for (int i = 0; i < x.rank(); ++i) {
    const bool is_whole = x.extent(i) >= 0 && x.extent(i) == y.extent(i) && params.start[i] == 0;
    if (i != channel_axis && !is_whole) return "a part of other axes than that of channels";
  }
  return nullptr;
}

ChannelLanes plan_lanes(const SliceParams& params, const Descs& inputs, const Descs& outputs, const RunSetup& setup) {
  const int axis = view_of(outputs[0]).axis;
  const int64_t start = params.start[axis], step = params.stride[axis];
  return {inputs, outputs[0], setup.n_threads(),
          [&](int64_t channel) { return ChannelLanes::Place{kSliced, start + channel * step}; }};
}

template <ChannelLanes::Copy copy>
void enqueue_lanes(const SliceParams&, ChannelLanes& lanes, const Run& run) {
  lanes.run(run, copy);
}

#define SLICE_LANES(isa, features)                          \
  {.tactic = "lanes_chw16_" #isa,                           \
   .needs = features,                                       \
   .types = "f32 i32 i32 i32 f32 -> f32",                   \
   .formats = "chw16 linear linear linear linear -> chw16", \
   .fits = fits_lanes,                                      \
   .enqueue = enqueue_lanes<isa::copy_lanes>,               \
   .plan = plan_lanes},

constexpr Row<SliceParams> kRows[] = {
    {.tactic = "strided", .types = kSliceTypes, .workspace = workspace, .enqueue = enqueue},
    {.tactic = "chw16",
     .types = kSliceTypes,
     .formats = "chw16 linear linear linear linear -> chw16",
     .fits = fits_blocks,
     .enqueue = enqueue_blocks},
};
constexpr Row<SliceParams, ChannelLanes> kLaneRows[] = {DOVETAIL_EACH_ISA(SLICE_LANES)};

}  // namespace

DOVETAIL_IMPLEMENTS("Slice@1#cpu", SliceParams, kRows, kLaneRows)
