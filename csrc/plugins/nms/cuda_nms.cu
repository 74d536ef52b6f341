// SPDX-License-Identifier: Apache-2.0
// NMS@1#cuda: a block for each class of each image. It looks for the best box that is left, drops those that this one
// covers, and begins again; a last kernel puts what the blocks kept in a row.
#include "dovetail/cuda.hpp"
#include "rows.hpp"

using namespace dovetail;

namespace {

constexpr int kWarps = kBlock / 32;
constexpr int64_t kNone = INT64_MAX;

struct Best {
  float score;
  int64_t box;  // kNone: there is none
};

__device__ inline bool is_before(const Best& a, const Best& b) {
  if (a.box == kNone || b.box == kNone) return a.box != kNone;
  return a.score != b.score ? a.score > b.score : a.box < b.box;
}

// The first of all threads', and the sum of their `n`, in every thread.
__device__ inline Best first_of_block(Best best, int64_t* n, Best* bests, int64_t* sums) {
  int64_t sum = *n;
  for (int step = 16; step > 0; step /= 2) {
    const Best other = {__shfl_down_sync(0xffffffffu, best.score, step), __shfl_down_sync(0xffffffffu, best.box, step)};
    sum += __shfl_down_sync(0xffffffffu, sum, step);
    if (is_before(other, best)) best = other;
  }
  if (threadIdx.x % 32 == 0) {
    bests[threadIdx.x / 32] = best;
    sums[threadIdx.x / 32] = sum;
  }
  __syncthreads();
  best = bests[0];
  sum = sums[0];
  for (int w = 1; w < kWarps; ++w) {
    if (is_before(bests[w], best)) best = bests[w];
    sum += sums[w];
  }
  __syncthreads();  // all have read what the next call writes
  *n = sum;
  return best;
}

// `kept`: n_boxes for each class; `is_left`: the same, 1 for boxes that nothing has covered.
template <class T>
__global__ void __launch_bounds__(kBlock)
    keep_best(const __grid_constant__ NmsJob job, int64_t* counts, int32_t* kept, uint8_t* is_left) {
  __shared__ Best bests[kWarps];
  __shared__ int64_t sums[kWarps];
  const float threshold = job.iou ? *job.iou : 0.0f;
  for (int64_t task = blockIdx.x; task < job.images * job.classes; task += gridDim.x) {
    const int64_t image = task / job.classes, class_ = task % job.classes;
    const T* const scores = static_cast<const T*>(job.scores) + image * job.n_boxes * job.classes + class_;
    const T* const boxes =
        static_cast<const T*>(job.boxes) + image * job.n_boxes * job.box_stride + class_ * job.class_stride;
    int32_t* const to = kept + task * job.n_boxes;
    uint8_t* const left = is_left + task * job.n_boxes;
    const auto box_at = [&](int64_t i) {
      const T* const box = boxes + i * job.box_stride;
      return box_of(to_float(box[0]), to_float(box[1]), to_float(box[2]), to_float(box[3]), job.is_centered);
    };
    const auto is_scored = [&](float score) { return job.least ? score > *job.least : score == score; };
    Best best = {0, kNone};
    for (int64_t i = threadIdx.x; i < job.n_boxes; i += kBlock) {
      const Best here = {to_float(scores[i * job.classes]), i};
      left[i] = is_scored(here.score);
      if (left[i] && is_before(here, best)) best = here;
    }
    int64_t ignored = 0;
    best = first_of_block(best, &ignored, bests, sums);
    const int64_t most = job.most_boxes();
    int64_t n = 0;
    while (best.box != kNone && n < most && n < job.n_boxes) {
      const Box chosen = box_at(best.box);
      Best next = {0, kNone};
      int64_t before = 0;  // boxes with a better score, whatever became of them
      for (int64_t i = threadIdx.x; i < job.n_boxes; i += kBlock) {
        const Best here = {to_float(scores[i * job.classes]), i};
        if (job.limit < job.n_boxes && is_scored(here.score)) before += is_before(here, best);
        if (!left[i]) continue;
        if (i == best.box || overlap(chosen, box_at(i), threshold)) {
          left[i] = 0;
        } else if (is_before(here, next)) {
          next = here;
        }
      }
      next = first_of_block(next, &before, bests, sums);
      if (before >= job.limit) break;
      if (threadIdx.x == 0) to[n] = static_cast<int32_t>(best.box);
      ++n;
      best = next;
    }
    if (threadIdx.x == 0) counts[task] = n;
    __syncthreads();  // before the flags are written again
  }
}

__global__ void __launch_bounds__(kBlock) put_in_a_row(const __grid_constant__ NmsJob job, const int64_t* counts,
                                                       const int32_t* kept, int32_t* indices, int32_t* count) {
  int64_t at = 0;
  for (int64_t task = 0; task < job.images * job.classes; ++task) {
    for (int64_t k = threadIdx.x; k < counts[task] && at + k < job.room; k += kBlock) {
      indices[3 * (at + k)] = static_cast<int32_t>(task / job.classes);
      indices[3 * (at + k) + 1] = static_cast<int32_t>(task % job.classes);
      indices[3 * (at + k) + 2] = kept[task * job.n_boxes + k];
    }
    at += counts[task];
  }
  if (threadIdx.x == 0) *count = static_cast<int32_t>(at < job.room ? at : job.room);
}

uint64_t workspace(const NmsParams&, const Descs& inputs, const Descs&, int) {
  const int64_t* const dims = inputs[1].max();
  return static_cast<uint64_t>(dims[0]) * static_cast<uint64_t>(dims[2]) *
         (sizeof(int64_t) + static_cast<uint64_t>(dims[1]) * (sizeof(int32_t) + 1));
}

void enqueue(const NmsParams& params, const Run& run) {
  const NmsJob job = nms_job(params, run);
  const int64_t n_tasks = job.images * job.classes;
  int64_t* const counts = run.workspace<int64_t>();
  int32_t* const kept = reinterpret_cast<int32_t*>(counts + n_tasks);
  uint8_t* const is_left = reinterpret_cast<uint8_t*>(kept + n_tasks * job.n_boxes);
  const unsigned blocks = static_cast<unsigned>(n_tasks < (1 << 20) ? n_tasks : 1 << 20);
  const auto start = [&](auto kernel) {
    launch(run, "keep_best", kernel, blocks, kBlock, 0, job, counts, kept, is_left);
  };
  switch (run.input(0).type()) {
    case DataType::kFLOAT:
      start(keep_best<float>);
      break;
    case DataType::kHALF:
      start(keep_best<__half>);
      break;
    default:
      start(keep_best<__nv_bfloat16>);
  }
  launch(run, "put_in_a_row", put_in_a_row, 1, kBlock, 0, job, counts, kept, run.output(0).data<int32_t>(),
         run.output(1).data<int32_t>());
}

#define NMS_ROW(name, types_)                                            \
  {.tactic = name,                                                       \
   .needs = kBuiltSm,                                                    \
   .types = types_,                                                      \
   .formats = "linear linear linear linear linear -> linear linear@cpu", \
   .workspace = workspace,                                               \
   .enqueue = enqueue},

// clang-format off
constexpr Row<NmsParams> kRows[] = {
    NMS_ROW("most32", kTypes32)
    NMS_ROW("most64", kTypes64)
};
// clang-format on

}  // namespace

DOVETAIL_IMPLEMENTS("NMS@1#cuda", NmsParams, kRows)
