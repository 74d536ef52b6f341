// SPDX-License-Identifier: Apache-2.0
// y[n, c, p] = x[n, c] at grid[n, p]: one cell, or a weighted sum of cells, around places that a grid names.
//   numerics places, weights and sums are float32
#ifndef DOVETAIL_PLUGINS_GRID_SAMPLE_GRID_SAMPLE_HPP
#define DOVETAIL_PLUGINS_GRID_SAMPLE_GRID_SAMPLE_HPP

#include "dovetail/plugin.hpp"

struct GridSampleParams {
  int32_t interpolation_mode = 1, align_corners = 0, sample_mode = 3;

  void check_fields() const {
    dovetail::expect_field("interpolation_mode", interpolation_mode, 0, 2);
    dovetail::expect_field("sample_mode", sample_mode, 2, 4);  // CLAMP, FILL, REFLECT
  }
  void check_shapes(const dovetail::Shapes& inputs, const dovetail::Shapes& outputs) const {
    const dovetail::Shape x = inputs.get(0, "x"), grid = inputs.get(1, "grid"), y = outputs.get(0, "y");
    const int rank = x.rank();
    if (rank != 4 && rank != 5) dovetail::fail(DT_SHAPE, "x has %d axes", rank);
    if (grid.rank() != rank) dovetail::fail(DT_SHAPE, "the grid has %d axes, x has %d", grid.rank(), rank);
    int64_t of_grid[5] = {x[0], 0, 0, 0, 0}, of_y[5] = {x[0], x[1], 0, 0, 0};
    for (int i = 2; i < rank; ++i) of_y[i] = of_grid[i - 1] = grid[i - 1];
    of_grid[rank - 1] = rank - 2;
    expect_dims(grid, of_grid, rank);
    expect_dims(y, of_y, rank);
    double cells = 1;
    for (int i = 2; i < rank; ++i) cells *= static_cast<double>(x[i]);
    if (cells < 1 || cells >= 0x1p30) dovetail::fail(DT_SHAPE, "x has %g cells, not 1 to 2^30 - 1", cells);
  }
};
DOVETAIL_READS(GridSampleParams, interpolation_mode, align_corners, sample_mode)

#endif
