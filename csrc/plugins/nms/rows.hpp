// SPDX-License-Identifier: Apache-2.0
// What the rows of NMS have in common on all devices.
#ifndef DOVETAIL_PLUGINS_NMS_ROWS_HPP
#define DOVETAIL_PLUGINS_NMS_ROWS_HPP

#include <math.h>

#include "dovetail/detail/host_device.hpp"
#include "nms.hpp"

// Of boxes and scores, and of the number of boxes.
constexpr char kTypes32[] = "f32|f16|bf16 f32|f16|bf16 i32|i32|i32 f32|f32|f32 f32|f32|f32 -> i32|i32|i32 i32|i32|i32";
constexpr char kTypes64[] = "f32|f16|bf16 f32|f16|bf16 i64|i64|i64 f32|f32|f32 f32|f32|f32 -> i32|i32|i32 i32|i32|i32";

struct NmsJob {
  const void *boxes, *scores, *most;
  const float *iou, *least;  // thresholds; null: none is too much, none too little
  int64_t images, n_boxes, classes;
  int64_t box_stride, class_stride;  // elements between boxes, and between the boxes of classes
  int64_t limit;                     // boxes of a class that are looked at
  int64_t room;                      // rows of the output
  int32_t is_centered, most_is_64;

  DOVETAIL_HOST_DEVICE int64_t most_boxes() const {
    return most_is_64 ? *static_cast<const int64_t*>(most) : static_cast<int64_t>(*static_cast<const int32_t*>(most));
  }
};

inline NmsJob nms_job(const NmsParams& params, const dovetail::Run& run) {
  const dovetail::Tensor boxes = run.input(0), scores = run.input(1);
  NmsJob job = {};
  job.boxes = boxes.data<void>();
  job.scores = scores.data<void>();
  job.most = run.input(2).data<void>();
  job.iou = run.has_input(3) ? run.input(3).data<const float>() : nullptr;
  job.least = run.has_input(4) ? run.input(4).data<const float>() : nullptr;
  job.images = scores.extent(0);
  job.n_boxes = scores.extent(1);
  job.classes = scores.extent(2);
  const int64_t box_classes = boxes.rank() == 4 ? boxes.extent(2) : 1;
  job.box_stride = 4 * box_classes;
  job.class_stride = box_classes > 1 ? 4 : 0;
  const bool is_limited = params.topk_box_limit >= 0 && params.topk_box_limit < job.n_boxes;
  job.limit = is_limited ? params.topk_box_limit : job.n_boxes;
  job.room = run.output(0).extent(0);
  job.is_centered = params.bounding_box_format == kBoxCenterSizes;
  job.most_is_64 = run.input(2).type() == dovetail::DataType::kINT64;
  return job;
}

struct Box {
  float x0, y0, x1, y1;
};

// Of corners in any order, or of centre and size.
DOVETAIL_HOST_DEVICE inline Box box_of(float a, float b, float c, float d, bool is_centered) {
  if (is_centered) return {a - c / 2, b - d / 2, a + c / 2, b + d / 2};
  return {fminf(a, c), fminf(b, d), fmaxf(a, c), fmaxf(b, d)};
}

// Is the area that both cover more than `threshold` of the area that either covers? Empty boxes cover nothing.
DOVETAIL_HOST_DEVICE inline bool overlap(const Box& p, const Box& q, float threshold) {
  const float width = fminf(p.x1, q.x1) - fmaxf(p.x0, q.x0), height = fminf(p.y1, q.y1) - fmaxf(p.y0, q.y0);
  const float of_p = (p.x1 - p.x0) * (p.y1 - p.y0), of_q = (q.x1 - q.x0) * (q.y1 - q.y0);
  if (!(width > 0 && height > 0 && of_p > 0 && of_q > 0)) return false;
  const float both = width * height;
  return both / (of_p + of_q - both) > threshold;
}

#endif
