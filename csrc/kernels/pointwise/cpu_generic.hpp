// SPDX-License-Identifier: Apache-2.0
// Epilogues of pointwise kernels, compiled once per instruction set.
#ifndef DOVETAIL_KERNELS_POINTWISE_CPU_GENERIC_HPP
#define DOVETAIL_KERNELS_POINTWISE_CPU_GENERIC_HPP

#include "dovetail/epilogue_tile.hpp"
#include "kernels/pointwise/epilogue_args.hpp"

namespace DT_ISA {
namespace {

// n elements from `at` on, a stride apart. Padding lanes of a blocked output may lie beyond the operand's last channel.
void load_run(const EpilogueOperand& tensor, int64_t volume, int64_t at, int64_t stride, int64_t n, float* to) {
  if (stride == 0) {
    float value = 0.0f;
    if (at < volume) load_operand(tensor, at, 1, &value);
    for (int64_t i = 0; i < n; ++i) to[i] = value;
    return;
  }
  const int64_t left = at < volume ? (volume - at + stride - 1) / stride : 0, there = left < n ? left : n;
  if (stride == 1) {
    load_operand(tensor, at, static_cast<int>(there), to);
  } else {
    for (int64_t i = 0; i < there; ++i) load_operand(tensor, at + i * stride, 1, to + i);
  }
  for (int64_t i = there; i < n; ++i) to[i] = 0.0f;
}

// The elements of an operand for results [first, first + n).
void lay_out(const EpilogueOperand& tensor, const RepeatedOperand& repeated, int64_t first, int64_t n, float* to) {
  const int inner = repeated.rank - 1;
  int64_t index[kRepeatedRank], at = 0;
  for (int i = inner; i >= 0; --i) {
    index[i] = first % repeated.dims[i];
    first /= repeated.dims[i];
    at += index[i] * repeated.stride[i];
  }
  while (n > 0) {
    const int64_t rest = repeated.dims[inner] - index[inner], run = rest < n ? rest : n;
    load_run(tensor, repeated.volume, at, repeated.stride[inner], run, to);
    to += run;
    n -= run;
    at -= index[inner] * repeated.stride[inner];
    index[inner] = 0;
    for (int i = inner - 1; i >= 0; --i) {
      at += repeated.stride[i];
      if (++index[i] < repeated.dims[i]) break;
      at -= repeated.dims[i] * repeated.stride[i];
      index[i] = 0;
    }
  }
}

}  // namespace

void pointwise_epilogue(const PointwiseEpilogue& epilogue, float* results, int64_t first, int64_t n) {
  EpilogueTile tile = {results, n, 1, static_cast<int>(n)};
  tile.offset = first;
  if (epilogue.n_repeated == 0) return apply_epilogue(epilogue.program, tile);
  float room[kEpilogueTensors][kPointwiseChunk];
  EpilogueProgram program = epilogue.program;
  tile.offset = 0;
  for (int t = 0; t < program.n_tensors; ++t) {
    EpilogueOperand& tensor = program.tensors[t];
    if (epilogue.repeated[t].rank > 0) {
      lay_out(tensor, epilogue.repeated[t], first, n, room[t]);
      tensor.data = room[t];
      tensor.type = DT_TYPE_FLOAT;
    } else if (tensor.form == kEpilogueWhole) {
      const int64_t bytes = tensor.type == DT_TYPE_FLOAT ? 4 : tensor.type == DT_TYPE_BOOL ? 1 : 2;
      tensor.data = static_cast<const char*>(tensor.data) + first * bytes;
    }
  }
  apply_epilogue(program, tile);
}

}  // namespace DT_ISA

#endif
