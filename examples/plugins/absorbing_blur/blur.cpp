// SPDX-License-Identifier: Apache-2.0
// acme::BoxBlur@1#acme.rows: a kernel that also computes the pointwise layers behind it, before it stores a row.
//
// Linear, float32. One task a plane of the output; a row of sums is finished while it is in L1.
#include "dovetail/epilogue.hpp"
#include "dovetail/epilogue_tile.hpp"
#include "dovetail/plugin.hpp"

namespace acme {

using namespace dovetail;

struct BlurParams {
  int64_t radius = 1;
};
DOVETAIL_READS(BlurParams, radius)

const char* fits(const BlurParams&, const Descs& inputs, const Descs&) {
  return inputs[0].rank() == 4 ? nullptr : "takes images: 4 dims";
}

// Asked while building: how many steps of the program this kernel would compute. The helpers say what they can.
int absorb(const BlurParams&, const Descs&, const Descs& outputs, const Epilogue& program) {
  return absorbed(program, outputs[0]);
}

// Sums of the cells within `radius` of each column, rows and columns outside counting as zero, over their number.
void blur_row(const float* x, int64_t height, int64_t width, int64_t row, int64_t radius, float* to) {
  const float share = 1.0f / static_cast<float>((2 * radius + 1) * (2 * radius + 1));
  for (int64_t column = 0; column < width; ++column) {
    float sum = 0;
    for (int64_t i = row - radius; i <= row + radius; ++i)
      for (int64_t j = column - radius; j <= column + radius; ++j)
        if (i >= 0 && i < height && j >= 0 && j < width) sum += x[i * width + j];
    to[column] = sum * share;
  }
}

void enqueue(const BlurParams& params, const Run& run) {
  const Tensor x = run.input(0), y = run.output(0);
  const int64_t channels = x.extent(1), height = x.extent(2), width = x.extent(3);
  const EpilogueProgram program = epilogue_program(run);  // empty where nothing is absorbed
  run.parallel_for(x.volume(0, 2), [&](int64_t plane) {
    const float* from = x.data<const float>() + plane * height * width;
    for (int64_t row = 0; row < height; ++row) {
      const int64_t offset = (plane * height + row) * width;
      float* to = y.data<float>() + offset;
      blur_row(from, height, width, row, params.radius, to);
      DT_ISA::EpilogueTile tile = {to, width, 1, static_cast<int>(width)};  // one row, as it lies in y
      tile.offset = offset;
      tile.image = plane / channels;
      tile.channel = plane % channels;
      DT_ISA::apply_epilogue(program, tile);
    }
  });
}

// In C++20 the members can be named: {.tactic = "rows", ..., .absorb = absorb}.
constexpr Row<BlurParams> kRows[] = {
    {"rows", 0, "f32 -> f32", "linear", fits, nullptr, nullptr, enqueue, 0, 0, absorb},
};
DOVETAIL_IMPLEMENTS("acme::BoxBlur@1#acme.rows", BlurParams, kRows)

}  // namespace acme

DOVETAIL_LIBRARY("acme-blur", "1.0", "acme")
