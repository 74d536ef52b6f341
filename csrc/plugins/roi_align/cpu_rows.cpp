// SPDX-License-Identifier: Apache-2.0
// RoiAlign@1#cpu: tactics, best first.
#include "rows.hpp"

using namespace dovetail;

namespace {

// Scratch of a thread for an x of these extents.
int64_t scratch_bytes(const RoiAlignParams& params, int64_t height, int64_t width) {
  const int64_t ratio = params.sampling_ratio;
  const int64_t taps = params.output_height * (ratio ? ratio : height) + params.output_width * (ratio ? ratio : width);
  const int64_t bytes = taps * static_cast<int64_t>(sizeof(RoiTap)) + (3 * width + params.output_width) * 4;
  return (bytes + 63) / 64 * 64;
}

uint64_t workspace(const RoiAlignParams& params, const Descs& inputs, const Descs&, int n_threads) {
  const Desc x = inputs[0];
  return static_cast<uint64_t>(scratch_bytes(params, x.max_extent(2), x.max_extent(3))) *
         static_cast<uint64_t>(n_threads);
}

template <void (*kernel)(const RoiAlignArgs&, int64_t, int64_t, void*)>
void enqueue(const RoiAlignParams& params, const Run& run) {
  if (run.output(0).volume() == 0) return;
  const RoiAlignArgs args = roi_align_args(params, run);
  const int64_t bytes = scratch_bytes(params, args.height, args.width), items = args.regions * args.pieces();
  int64_t pieces = static_cast<int64_t>(run.workspace_bytes()) / bytes;
  if (pieces < 1) fail(DT_INVALID_ARGUMENT, "the workspace is smaller than what these extents need");
  if (pieces > run.n_threads()) pieces = run.n_threads();
  if (pieces > items) pieces = items;
  run.parallel_for(pieces, [&](int32_t piece) {
    const int64_t each = items / pieces, more = items % pieces;
    const int64_t first = piece * each + (piece < more ? piece : more);
    kernel(args, first, first + each + (piece < more), run.workspace<char>() + piece * bytes);
  });
}

#define ROI_ALIGN_ROW(isa, features, name, types_) \
  {.tactic = name #isa,                            \
   .needs = features,                              \
   .types = types_,                                \
   .formats = "linear",                            \
   .workspace = workspace,                         \
   .enqueue = enqueue<isa::roi_align>},
#define ROI_ALIGN_ROWS(isa, features)                          \
  ROI_ALIGN_ROW(isa, features, "linear_", kRoiTypes64)         \
  ROI_ALIGN_ROW(isa, features, "images32_", kRoiTypes32)       \
  ROI_ALIGN_ROW(isa, features, "halves_", kRoiTypesOfHalves64) \
  ROI_ALIGN_ROW(isa, features, "halves_images32_", kRoiTypesOfHalves32)

constexpr Row<RoiAlignParams> kRows[] = {DOVETAIL_EACH_ISA(ROI_ALIGN_ROWS)};

}  // namespace

DOVETAIL_IMPLEMENTS("RoiAlign@1#cpu", RoiAlignParams, kRows)
