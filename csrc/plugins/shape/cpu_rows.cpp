// SPDX-License-Identifier: Apache-2.0
// Shape@1#cpu.
#include "rows.hpp"

using namespace dovetail;

namespace {

template <class T>
void write(const Tensor& x, T* y) {
  for (int i = 0; i < x.rank(); ++i) y[i] = static_cast<T>(x.extent(i));
}

void enqueue(const ShapeParams&, const Run& run) {
  const Tensor x = run.input(0), y = run.output(0);
  if (y.type() == DataType::kINT64) return write(x, y.data<int64_t>());
  write(x, y.data<int32_t>());
}

// clang-format off
#define SHAPE_ROW(unused, format)                                                                                \
  {.tactic = format, .types = kShapeTypes, .formats = format " -> linear", .enqueue = enqueue}, \
  {.tactic = format "_int64", .types = kWideShapeTypes, .formats = format " -> linear",         \
   .enqueue = enqueue},
// clang-format on
constexpr Row<ShapeParams> kRows[] = {DOVETAIL_EACH_FORMAT(SHAPE_ROW, 0)};

}  // namespace

DOVETAIL_IMPLEMENTS("Shape@1#cpu", ShapeParams, kRows)
