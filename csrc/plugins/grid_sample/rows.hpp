// SPDX-License-Identifier: Apache-2.0
// What the rows of GridSample have in common on all devices.
#ifndef DOVETAIL_PLUGINS_GRID_SAMPLE_ROWS_HPP
#define DOVETAIL_PLUGINS_GRID_SAMPLE_ROWS_HPP

#include "cpu_kernels.hpp"
#include "grid_sample.hpp"
#include "kernels/layout/format.hpp"

#define GRID_ALL "f32|f16|bf16|i32|i64|i8|u8|b8"
constexpr char kGridTypes[] = GRID_ALL " f32 -> " GRID_ALL;
constexpr char kGridTypesOfHalves[] = "f16|bf16 f16|bf16 -> f16|bf16";
#undef GRID_ALL

inline const char* fits_grid_sample(const GridSampleParams& params, const dovetail::Descs& inputs,
                                    const dovetail::Descs&) {
  const dovetail::DataType type = inputs[0].type();
  const bool is_float =
      type == dovetail::DataType::kFLOAT || type == dovetail::DataType::kHALF || type == dovetail::DataType::kBF16;
  return params.interpolation_mode == kGridNearest || is_float ? nullptr : "elements of this type are not blended";
}

inline GridSampleArgs grid_sample_args(const GridSampleParams& params, const dovetail::Run& run) {
  const dovetail::Tensor x = run.input(0), grid = run.input(1), y = run.output(0);
  GridSampleArgs args = {};
  args.x = x.data<void>();
  args.grid = grid.data<void>();
  args.y = y.data<void>();
  args.type = static_cast<int32_t>(x.type());
  args.grid_type = static_cast<int32_t>(grid.type());
  args.element_bytes = dovetail::size_of(x.type());
  args.channels = x.extent(1);
  args.places = y.volume(2, y.rank());
  args.n_spatial = x.rank() - 2;
  for (int i = 0; i < args.n_spatial; ++i) args.size[i] = static_cast<int32_t>(x.extent(i + 2));
  args.rule = {params.interpolation_mode, params.align_corners, params.sample_mode};
  return args;
}

#endif
