// SPDX-License-Identifier: Apache-2.0
// Shape@1#cuda: the extents are arguments of the launch.
#include "dovetail/cuda.hpp"
#include "rows.hpp"

using namespace dovetail;

namespace {

struct Extents {
  int64_t v[DT_MAX_RANK];
};

template <class T>
__global__ void write(const __grid_constant__ Extents extents, T* y, int rank) {
  const int i = static_cast<int>(threadIdx.x);
  if (i < rank) y[i] = static_cast<T>(extents.v[i]);
}

void enqueue(const ShapeParams&, const Run& run) {
  const Tensor x = run.input(0), y = run.output(0);
  if (x.rank() == 0) return;
  Extents extents = {};
  for (int i = 0; i < x.rank(); ++i) extents.v[i] = x.extent(i);
  if (y.type() == DataType::kINT64) {
    launch(run, "shape", write<int64_t>, 1, 32, 0, extents, y.data<int64_t>(), x.rank());
  } else {
    launch(run, "shape", write<int32_t>, 1, 32, 0, extents, y.data<int32_t>(), x.rank());
  }
}

#define SHAPE_ROW(unused, format)      \
  {.tactic = format,                   \
   .needs = kBuiltSm,                  \
   .types = kShapeTypes,               \
   .formats = format " -> linear",     \
   .enqueue = enqueue,                 \
   .traits = kCaptureSafe},            \
      {.tactic = format "_int64",      \
       .needs = kBuiltSm,              \
       .types = kWideShapeTypes,       \
       .formats = format " -> linear", \
       .enqueue = enqueue,             \
       .traits = kCaptureSafe},
constexpr Row<ShapeParams> kRows[] = {DOVETAIL_EACH_FORMAT(SHAPE_ROW, 0)};

}  // namespace

DOVETAIL_IMPLEMENTS("Shape@1#cuda", ShapeParams, kRows)
