// SPDX-License-Identifier: Apache-2.0
// For rows files of pointwise layers: further pointwise layers that a row computes on each piece of its results, with
// operands of any extents that are repeated as NumPy does.
#ifndef DOVETAIL_KERNELS_POINTWISE_EPILOGUE_HPP
#define DOVETAIL_KERNELS_POINTWISE_EPILOGUE_HPP

#include "dovetail/epilogue.hpp"
#include "kernels/layout/format.hpp"
#include "kernels/pointwise/epilogue_args.hpp"

DOVETAIL_OPEN_NAMESPACE

using PointwiseFinish = void (*)(const PointwiseEpilogue&, float*, int64_t, int64_t);

// For Row::absorb.
template <class Params>
int absorb_pointwise(const Params&, const Descs&, const Descs& outputs, const Epilogue& program) {
  return outputs[0].type() == DataType::kFLOAT ? absorbed(program, outputs[0], -1, true) : 0;
}

namespace detail {

// Axes of the operand in the order of `output` in memory; those along which both run on without a gap are joined.
inline RepeatedOperand repeated_operand(const Tensor& operand, const Desc& output) {
  const int rank = output.rank();
  int64_t strides[DT_MAX_RANK], step = 1;
  for (int i = rank - 1; i >= 0; --i) {
    strides[i] = operand.extent(i) == 1 ? 0 : step;
    step *= operand.extent(i);
  }
  RepeatedOperand made = {};
  made.volume = step;
  const auto add = [&made](int64_t extent, int64_t stride) {
    if (extent == 1) return;
    const int last = made.rank - 1;
    if (last >= 0 && made.stride[last] == stride * extent) {
      made.dims[last] *= extent;
      made.stride[last] = stride;
      return;
    }
    made.dims[made.rank] = extent;
    made.stride[made.rank++] = stride;
  };
  const FormatView view = view_of(output);
  for (int i = 0; i < rank; ++i) {
    if (view.kind == 0 || i != view.axis) add(output.max()[i], strides[i]);
    if (view.kind == 1 && i == view.axis) add(view.padded / view.lanes, strides[i] * view.lanes);
  }
  if (view.kind != 0) add(view.kind == 1 ? view.lanes : view.padded, strides[view.axis]);
  if (made.rank == 0) add(2, 0);  // of one element, which is never left
  return made;
}

}  // namespace detail

// For Row::plan; `program` is that of its setup.
inline PointwiseEpilogue planned_pointwise(const Epilogue& program, const Desc& output) {
  PointwiseEpilogue made = {};
  made.program = planned_epilogue(program, output, -1, true);
  for (int t = 0; t < made.program.n_tensors; ++t) {
    int32_t& form = made.program.tensors[t].form;
    if (form != kEpilogueByChannel && form != kEpilogueRepeated) continue;
    form = kEpilogueWhole;
    made.repeated[t] = detail::repeated_operand(Tensor(program.raw()->tensors[t]), output);
    ++made.n_repeated;
  }
  return made;
}

// Operations an element, for cutting the work among threads.
inline double cost_of(const PointwiseEpilogue& epilogue) { return 8.0 * epilogue.program.n_steps; }

// kernel(first, last) computes results [first, last) in the order of storage, for each piece.
template <class Kernel>
void run_pointwise(const Run& run, const Pieces& pieces, const PointwiseEpilogue& epilogue, void* results,
                   PointwiseFinish finish, const Kernel& kernel) {
  if (epilogue.program.n_steps == 0) return run_pieces(run, pieces, kernel);
  float* const y = static_cast<float*>(results);
  run_pieces(run, pieces, [&](int64_t first, int64_t last) {
    for (int64_t n; first < last; first += n) {
      n = last - first < kPointwiseChunk ? last - first : kPointwiseChunk;
      kernel(first, first + n);
      finish(epilogue, y + first, first, n);
    }
  });
}

DOVETAIL_CLOSE_NAMESPACE

#endif
