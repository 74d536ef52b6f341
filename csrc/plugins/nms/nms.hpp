// SPDX-License-Identifier: Apache-2.0
// Greedy suppression of boxes that overlap a better one, for each image and class.
//   inputs  0 boxes [N, B, 4] or [N, B, C, 4], 1 scores [N, B, C], 2 most boxes a class, 3 IoU threshold,
//           4 score threshold
//   outputs 0 indices [room, 3]: image, class, box. 1 count
#ifndef DOVETAIL_PLUGINS_NMS_NMS_HPP
#define DOVETAIL_PLUGINS_NMS_NMS_HPP

#include "dovetail/plugin.hpp"
#include "kernels/spec/enumerations.hpp"

enum : int32_t { DOVETAIL_BOUNDING_BOX_FORMAT(DOVETAIL_ENUMERATOR, kBox) };

struct NmsParams {
  int32_t bounding_box_format = kBoxCornerPairs;
  int64_t topk_box_limit = -1;  // boxes of a class that are looked at, the best ones; -1: all

  void check_fields() const {
    dovetail::expect_field("bounding_box_format", bounding_box_format, kBoxCornerPairs, kBoxCenterSizes);
    dovetail::expect_field("topk_box_limit", topk_box_limit, -1, INT64_MAX);
  }
  void check_shapes(const dovetail::Shapes& inputs, const dovetail::Shapes& outputs) const {
    const dovetail::Shape boxes = inputs.get(0, "boxes"), scores = inputs.get(1, "scores");
    if (scores.rank() != 3) dovetail::fail(DT_SHAPE, "scores have %d axes, not 3", scores.rank());
    const int64_t dims[] = {scores[0], scores[1], boxes.rank() == 4 ? boxes[2] : 4, 4};
    expect_dims(boxes, dims, boxes.rank() == 4 ? 4 : 3);
    if (boxes.rank() == 4 && boxes[2] != 1 && boxes[2] != scores[2])
      dovetail::fail(DT_SHAPE, "boxes are of %lld classes, scores of %lld", static_cast<long long>(boxes[2]),
                     static_cast<long long>(scores[2]));
    expect_volume(inputs.get(2, "max_output_boxes_per_class"), 1);
    if (inputs.has(3)) expect_volume(inputs.get(3, "iou_threshold"), 1);
    if (inputs.has(4)) expect_volume(inputs.get(4, "score_threshold"), 1);
    const dovetail::Shape indices = outputs.get(0, "indices");
    if (indices.rank() != 2 || indices[1] != 3) dovetail::fail(DT_SHAPE, "indices are not [n, 3]");
    expect_dims(outputs.get(1, "count"), nullptr, 0);
  }
};
DOVETAIL_READS(NmsParams, bounding_box_format, topk_box_limit)

#endif
