// SPDX-License-Identifier: Apache-2.0
// The algorithm of Quantize, compiled once per instruction set.
#ifndef DOVETAIL_PLUGINS_QUANTIZE_CPU_GENERIC_HPP
#define DOVETAIL_PLUGINS_QUANTIZE_CPU_GENERIC_HPP

#include "cpu_kernels.hpp"
#include "kernels/conversion/quantize.hpp"
#include "kernels/simd/convert.hpp"

namespace DT_ISA {
namespace {

constexpr int64_t kChunk = 512;

}  // namespace

void quantize(const QuantizeArgs& args, int64_t first, int64_t last) {
  const int64_t row = args.inner * args.lanes;
  float chunk[kChunk];
  for (int64_t n; first < last; first += n) {
    const int64_t lane = first % args.lanes;
    const int64_t end = args.lanes == 1 ? row - first % row : args.lanes - lane;  // of the scale, or of a run of scales
    n = end < last - first ? end : last - first;
    n = n < kChunk ? n : kChunk;
    const float* scale = args.scale + first / row % args.groups * args.lanes + lane;
    const float* x = static_cast<const float*>(args.x) + first;
    int8_t* y = static_cast<int8_t*>(args.y) + first;
    if (args.float_type != kF32) {
      load_floats(args.x, args.float_type, first, chunk, n);
      x = chunk;
    }
    if (args.lanes == 1) {
      for (int64_t i = 0; i < n; ++i) y[i] = quantize_one(x[i] / scale[0]);
    } else {
      for (int64_t i = 0; i < n; ++i) y[i] = quantize_one(x[i] / scale[i]);
    }
  }
}

}  // namespace DT_ISA

#endif
