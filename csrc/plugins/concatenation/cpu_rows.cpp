// SPDX-License-Identifier: Apache-2.0
// Concatenation@1#cpu.
#include "kernels/copy/blocked_dims.hpp"
#include "kernels/copy/channel_lanes.hpp"
#include "rows.hpp"

using namespace dovetail;

namespace {

void enqueue(const ConcatenationParams& params, const Run& run) {
  void* y = run.output(0).data<void>();
  for_parts(params, run, row_major, [&](const StridedCopy& part, const void* x) { copy_strided(run, part, x, y); });
}

const char* fits_blocks(const ConcatenationParams&, const Descs& inputs, const Descs&) {
  for (int i = 0; i < inputs.size(); ++i) {
    if (const char* const reason = fits_whole_blocks(inputs[i])) return reason;
  }
  return nullptr;
}

void enqueue_blocks(const ConcatenationParams& params, const Run& run) {
  const Tensor y = run.output(0);
  const int axis = params.axis_of(y.rank());
  const BlockedDims whole(static_cast<int32_t>(y.format()), y.dims(), y.rank());
  const RowMajor to(whole.dims, whole.rank);
  int64_t at = 0;
  for (int i = 0; i < run.n_inputs(); ++i) {
    const Tensor x = run.input(i);
    const BlockedDims blocked(static_cast<int32_t>(x.format()), x.dims(), x.rank());
    const RowMajor from(blocked.dims, blocked.rank);
    StridedCopy part(size_of(y.type()));
    for (int k = 0; k < blocked.rank; ++k) part.add(blocked.dims[k], from.step[k], to.step[k]);
    part.to = at * to.step[axis];
    at += blocked.dims[axis];
    copy_strided(run, part, x.data<void>(), y.data<void>());
  }
}

// Channels that do not fill whole blocks.
const char* fits_lanes(const ConcatenationParams& params, const Descs& inputs, const Descs& outputs) {
  if (fits_blocks(params, inputs, outputs) == nullptr) return "channels fill whole blocks, which are copied";
  const Desc y = outputs[0];
  const int channel_axis = y.rank() - traits_of(static_cast<int32_t>(y.format())).spatial - 1;
  return params.axis_of(y.rank()) == channel_axis ? nullptr : "an axis of other than channels";
}

ChannelLanes plan_lanes(const ConcatenationParams&, const Descs& inputs, const Descs& outputs, const RunSetup& setup) {
  std::vector<int64_t> ends;
  for (int i = 0; i < inputs.size(); ++i) ends.push_back((i > 0 ? ends.back() : 0) + view_of(inputs[i]).channels);
  return {inputs, outputs[0], setup.n_threads(), [&](int64_t channel) {
            int i = 0;
            while (channel >= ends[i]) ++i;
            return ChannelLanes::Place{i, channel - (i > 0 ? ends[i - 1] : 0)};
          }};
}

template <ChannelLanes::Copy copy>
void enqueue_lanes(const ConcatenationParams&, ChannelLanes& lanes, const Run& run) {
  lanes.run(run, copy);
}

#define CONCATENATION_LANES(isa, features)    \
  {.tactic = "lanes_chw16_" #isa,             \
   .needs = features,                         \
   .types = "f32... -> f32",                  \
   .formats = "chw16... -> chw16",            \
   .fits = fits_lanes,                        \
   .enqueue = enqueue_lanes<isa::copy_lanes>, \
   .plan = plan_lanes},

constexpr Row<ConcatenationParams> kRows[] = {
    {.tactic = "strided", .types = kConcatenationTypes, .formats = "linear... -> linear", .enqueue = enqueue},
    {.tactic = "chw16",
     .types = kConcatenationTypes,
     .formats = "chw16... -> chw16",
     .fits = fits_blocks,
     .enqueue = enqueue_blocks},
};
constexpr Row<ConcatenationParams, ChannelLanes> kLaneRows[] = {DOVETAIL_EACH_ISA(CONCATENATION_LANES)};

}  // namespace

DOVETAIL_IMPLEMENTS("Concatenation@1#cpu", ConcatenationParams, kRows, kLaneRows)
