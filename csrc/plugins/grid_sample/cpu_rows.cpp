// SPDX-License-Identifier: Apache-2.0
// GridSample@1#cpu: tactics, best first.
#include "rows.hpp"

using namespace dovetail;

namespace {

template <void (*kernel)(const GridSampleArgs&, int64_t, int64_t)>
void enqueue(const GridSampleParams& params, const Run& run) {
  const Tensor y = run.output(0);
  if (y.volume() == 0) return;
  const GridSampleArgs args = grid_sample_args(params, run);
  const int taps = 1 << (args.rule.mode * args.n_spatial);
  const double work = static_cast<double>(kGridColumns) * (50.0 + static_cast<double>(args.channels * taps));
  parallel_ranges(run, y.extent(0) * args.units_of_image(), work, 1,
                  [&](int64_t first, int64_t last) { kernel(args, first, last); });
}

#define GRID_SAMPLE_ROW(isa, features, name, types_) \
  {.tactic = name #isa,                              \
   .needs = features,                                \
   .types = types_,                                  \
   .formats = "linear",                              \
   .fits = fits_grid_sample,                         \
   .enqueue = enqueue<isa::grid_sample>},
#define GRID_SAMPLE_ROWS(isa, features)                 \
  GRID_SAMPLE_ROW(isa, features, "linear_", kGridTypes) \
  GRID_SAMPLE_ROW(isa, features, "halves_", kGridTypesOfHalves)

constexpr Row<GridSampleParams> kRows[] = {DOVETAIL_EACH_ISA(GRID_SAMPLE_ROWS)};

}  // namespace

DOVETAIL_IMPLEMENTS("GridSample@1#cpu", GridSampleParams, kRows)
