// SPDX-License-Identifier: Apache-2.0
// y is x, but for the elements that indices name: they are those of the updates, or combined with them.
//   inputs   x, indices and updates, linear; updates of x's type
//   numerics negative indices count from the end; beyond [-extent, extent) they change nothing. Of updates of one
//            element the last in row-major order holds on the CPU, any of them on a GPU; where they are combined, it is
//            one after the other, each result rounded to the type, in row-major order on the CPU and in any on a GPU
//   outputs  y, linear, of x's type and extents
#ifndef DOVETAIL_PLUGINS_SCATTER_SCATTER_HPP
#define DOVETAIL_PLUGINS_SCATTER_SCATTER_HPP

#include "combine.hpp"
#include "kernels/copy/indexed_blocks.hpp"
#include "kernels/spec/enumerations.hpp"

enum ScatterMode : int32_t { DOVETAIL_SCATTER_MODE(DOVETAIL_ENUMERATOR, kScatter) };

struct ScatterParams {
  int32_t mode = kScatterElement;
  int64_t axis = 0;
  int32_t reduction = kNone;

  // The numbers of the modes are others than Gather's.
  int32_t gather_mode() const { return mode == kScatterElement ? dovetail::kGatherElement : dovetail::kGatherNd; }
  void check_fields() const {
    dovetail::expect_field("mode", mode, kScatterElement, kScatterNd);
    dovetail::expect_field("axis", axis, -DT_MAX_RANK, DT_MAX_RANK - 1);
    dovetail::expect_field("reduction", reduction, kNone, kMin);
  }
  void check_shapes(const dovetail::Shapes& inputs, const dovetail::Shapes& outputs) const {
    const dovetail::Shape x = inputs.get(0, "x");
    dovetail::check_blocks(gather_mode(), axis, 0, x, inputs.get(1, "indices"), inputs.get(2, "updates"));
    expect_same_dims(outputs.get(0, "y"), x);
  }
};
DOVETAIL_READS(ScatterParams, mode, axis, reduction)

#endif
