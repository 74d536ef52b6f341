// SPDX-License-Identifier: Apache-2.0
// NMS@1#cpu: classes of images are tasks. Each sorts its boxes and keeps those that no better one covers.
#include <algorithm>

#include "kernels/layout/format.hpp"
#include "kernels/simd/convert.hpp"
#include "rows.hpp"

using namespace dovetail;

namespace {

// Of the workspace: for each class of each image its number of boxes, then room for all of them.
uint64_t workspace(const NmsParams&, const Descs& inputs, const Descs&, int) {
  const int64_t* const dims = inputs[1].max();
  return static_cast<uint64_t>(dims[0]) * static_cast<uint64_t>(dims[2]) * (1 + static_cast<uint64_t>(dims[1])) *
         sizeof(int64_t);
}

struct Half {
  uint16_t bits;
  operator float() const { return DT_ISA::half_to_float(bits); }
};
struct BFloat {
  uint16_t bits;
  operator float() const { return DT_ISA::bf16_to_float(bits); }
};

// The boxes of one class that stay, best first, over `order`, which has room for all. Returns how many.
template <class T>
int64_t keep_best(const NmsJob& job, int64_t image, int64_t class_, int64_t* order) {
  const T* const scores = static_cast<const T*>(job.scores) + image * job.n_boxes * job.classes + class_;
  const T* const boxes =
      static_cast<const T*>(job.boxes) + image * job.n_boxes * job.box_stride + class_ * job.class_stride;
  const auto score_of = [&](int64_t i) { return static_cast<float>(scores[i * job.classes]); };
  const auto box_at = [&](int64_t i) {
    const T* const box = boxes + i * job.box_stride;
    return box_of(box[0], box[1], box[2], box[3], job.is_centered);
  };
  int64_t n = 0;
  for (int64_t i = 0; i < job.n_boxes; ++i) {
    const float score = score_of(i);
    if (job.least ? score > *job.least : score == score) order[n++] = i;
  }
  const int64_t looked_at = std::min(n, job.limit), most = std::min(job.most_boxes(), looked_at);
  std::partial_sort(order, order + looked_at, order + n, [&](int64_t a, int64_t b) {
    const float first = score_of(a), second = score_of(b);
    return first != second ? first > second : a < b;
  });
  const float threshold = job.iou ? *job.iou : 0.0f;
  int64_t kept = 0;
  for (int64_t k = 0; k < looked_at && kept < most; ++k) {
    const int64_t candidate = order[k];
    const Box box = box_at(candidate);
    bool is_covered = false;
    for (int64_t i = 0; i < kept && !is_covered; ++i) is_covered = overlap(box_at(order[i]), box, threshold);
    if (!is_covered) order[kept++] = candidate;
  }
  return kept;
}

int64_t keep_best(DataType type, const NmsJob& job, int64_t image, int64_t class_, int64_t* order) {
  switch (type) {
    case DataType::kFLOAT:
      return keep_best<float>(job, image, class_, order);
    case DataType::kHALF:
      return keep_best<Half>(job, image, class_, order);
    default:
      return keep_best<BFloat>(job, image, class_, order);
  }
}

void enqueue(const NmsParams& params, const Run& run) {
  const NmsJob job = nms_job(params, run);
  const DataType type = run.input(0).type();
  const int64_t n_tasks = job.images * job.classes;
  int64_t* const counts = run.workspace<int64_t>();
  int64_t* const orders = counts + n_tasks;
  run.parallel_for(n_tasks, [&](int32_t task) {
    counts[task] = keep_best(type, job, task / job.classes, task % job.classes, orders + task * job.n_boxes);
  });
  int32_t* const indices = run.output(0).data<int32_t>();
  int64_t total = 0;
  for (int64_t task = 0; task < n_tasks; ++task)
    for (int64_t k = 0; k < counts[task] && total < job.room; ++k, ++total) {
      indices[3 * total] = static_cast<int32_t>(task / job.classes);
      indices[3 * total + 1] = static_cast<int32_t>(task % job.classes);
      indices[3 * total + 2] = static_cast<int32_t>(orders[task * job.n_boxes + k]);
    }
  *run.output(1).data<int32_t>() = static_cast<int32_t>(total);
}

constexpr Row<NmsParams> kRows[] = {
    {.tactic = "most32", .types = kTypes32, .formats = "linear", .workspace = workspace, .enqueue = enqueue},
    {.tactic = "most64", .types = kTypes64, .formats = "linear", .workspace = workspace, .enqueue = enqueue},
};

}  // namespace

DOVETAIL_IMPLEMENTS("NMS@1#cpu", NmsParams, kRows)
