// SPDX-License-Identifier: Apache-2.0
// y holds the elements of x that indices name.
//   inputs   x and indices, linear
//   numerics negative indices count from the end; beyond [-extent, extent) they give 0
//   outputs  y, linear, of x's type
#ifndef DOVETAIL_PLUGINS_GATHER_GATHER_HPP
#define DOVETAIL_PLUGINS_GATHER_GATHER_HPP

#include "kernels/copy/indexed_blocks.hpp"

struct GatherParams {
  int32_t mode = dovetail::kGatherDefault;
  int64_t axis = 0, num_elementwise_dims = 0;

  void check_fields() const {
    dovetail::expect_field("mode", mode, dovetail::kGatherDefault, dovetail::kGatherNd);
    dovetail::expect_field("axis", axis, -DT_MAX_RANK, DT_MAX_RANK - 1);
    dovetail::expect_field("num_elementwise_dims", num_elementwise_dims, 0, DT_MAX_RANK);
  }
  void check_shapes(const dovetail::Shapes& inputs, const dovetail::Shapes& outputs) const {
    dovetail::check_blocks(mode, axis, num_elementwise_dims, inputs.get(0, "x"), inputs.get(1, "indices"),
                           outputs.get(0, "y"));
  }
};
DOVETAIL_READS(GatherParams, mode, axis, num_elementwise_dims)

#endif
