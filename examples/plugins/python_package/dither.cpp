// SPDX-License-Identifier: Apache-2.0
// halftone::Dither@1#cpu. The op is described in halftone/dither.py; here is what it reads and how it is computed.
#include <cmath>

#include "dovetail/plugin.hpp"

namespace {

using namespace dovetail;

struct DitherParams {
  int64_t levels = 2;
};
DOVETAIL_READS(DitherParams, levels)

constexpr float kBayer[4][4] = {{0, 8, 2, 10}, {12, 4, 14, 6}, {3, 11, 1, 9}, {15, 7, 13, 5}};

const char* fits(const DitherParams&, const Descs& inputs, const Descs&) {
  return inputs[0].rank() < 2 ? "takes rank 2 or more" : nullptr;
}

void dither(const DitherParams& params, const Run& run) {
  const Tensor x = run.input(0), y = run.output(0);
  const int64_t height = x.extent(-2), width = x.extent(-1);
  const float steps = static_cast<float>(params.levels - 1);
  run.parallel_for(x.volume(0, x.rank() - 1), [&](int64_t task) {
    const float *from = x.data<const float>() + task * width, *thresholds = kBayer[task % height % 4];
    float* to = y.data<float>() + task * width;
    for (int64_t column = 0; column < width; ++column) {
      const float inside = from[column] > 0 ? (from[column] < 1 ? from[column] : 1.0f) : 0.0f;
      to[column] = std::floor(inside * steps + (thresholds[column % 4] + 0.5f) / 16) / steps;
    }
  });
}

constexpr Row<DitherParams> kRows[] = {{"rows", 0, "f32 -> f32", nullptr, fits, nullptr, nullptr, dither}};

}  // namespace

DOVETAIL_IMPLEMENTS("halftone::Dither@1#cpu", DitherParams, kRows)
DOVETAIL_LIBRARY("halftone-cpu", "0.1.0", "halftone")
