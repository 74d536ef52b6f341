// SPDX-License-Identifier: Apache-2.0
// Further pointwise layers that a pointwise kernel on a GPU computes on its results before it stores them, with operands
// of any extents that are repeated as NumPy does. Kernels are templates over what ends them: NoEnding or Absorbed.
#ifndef DOVETAIL_KERNELS_POINTWISE_CUDA_EPILOGUE_CUH
#define DOVETAIL_KERNELS_POINTWISE_CUDA_EPILOGUE_CUH

#include "dovetail/cuda.hpp"
#include "kernels/pointwise/epilogue.hpp"
#ifdef __CUDACC__
#include "dovetail/epilogue.cuh"
#endif

DOVETAIL_OPEN_NAMESPACE

// Where the elements of a repeated operand lie: axes of the results in the order of storage, outermost first. Results
// are counted in 31 bits, so that the parameters of a kernel that absorbs stay below 4 KiB.
struct CudaRepeated {
  int32_t rank, last;  // the last element: padding lanes of the results have none of their own and take it
  int32_t stride[kRepeatedRank];
  Divisor by_dim[kRepeatedRank];
};

// What ends a kernel that absorbs; `program` has the addresses of its operands.
struct Absorbed {
  EpilogueProgram program;
  CudaRepeated repeated[kEpilogueTensors];  // of operands of that form

#ifdef __CUDACC__
  // Elements [first, first + n) of the output, `count` of which are there.
  template <int n, class T>
  __device__ void operator()(int64_t first, int count, T (&values)[n]) const;
#endif
};

struct NoEnding {
#ifdef __CUDACC__
  template <int n, class T>
  __device__ void operator()(int64_t, int, T (&)[n]) const {}
#endif
};

// For Row::absorb of rows with float results.
template <class Params>
int absorb_on_cuda(const Params&, const Descs&, const Descs& outputs, const Epilogue& program) {
  const DataType type = outputs[0].type();
  const bool is_float = type == DataType::kFLOAT || type == DataType::kHALF || type == DataType::kBF16;
  const bool is_counted = view_of(outputs[0]).stored() < int64_t{1} << 31;
  return is_float && is_counted ? absorbed(program, outputs[0], -1, true) : 0;
}

// The ending of this run; it has no steps where nothing is absorbed.
inline Absorbed absorbed_in(const Run& run) {
  Absorbed made = {};
  const Epilogue program = run.epilogue();
  if (!program) return made;
  const detail::RunDesc output(*run.output(0).raw());
  const PointwiseEpilogue planned = planned_pointwise(program, output.desc());
  made.program = planned.program;
  set_operands(run, &made.program);
  for (int t = 0; t < made.program.n_tensors; ++t) {
    const RepeatedOperand& from = planned.repeated[t];
    if (from.rank == 0) continue;
    CudaRepeated& to = made.repeated[t];
    made.program.tensors[t].form = kEpilogueRepeated;
    to.rank = from.rank;
    to.last = static_cast<int32_t>(from.volume - 1);
    for (int i = 0; i < from.rank; ++i) {
      to.stride[i] = static_cast<int32_t>(from.stride[i]);
      to.by_dim[i] = Divisor(from.dims[i] > 0 ? from.dims[i] : 1);
    }
  }
  return made;
}

// Calls body(ending) with what ends the kernels of this run.
template <class Body>
void with_ending(const Run& run, const Body& body) {
  const Absorbed absorbed = absorbed_in(run);
  if (absorbed.program.n_steps == 0) return body(NoEnding());
  body(absorbed);
}

#ifdef __CUDACC__

// Neighbouring results of a pointwise kernel, for apply_epilogue.
struct PointwiseResults {
  static constexpr bool kAreNeighbours = true;
  const Absorbed& ending;
  int64_t first;
  int count;
  __device__ __forceinline__ bool has(int i) const { return i < count; }
  __device__ __forceinline__ int64_t offset(int i) const { return first + i; }
};

__device__ __forceinline__ int64_t epilogue_place(const PointwiseResults& results, const EpilogueOperand& tensor,
                                                  int number, int i) {
  if (tensor.form == kEpilogueOne) return 0;
  if (tensor.form == kEpilogueWhole) return results.offset(i);
  const CudaRepeated& repeated = results.ending.repeated[number];
  uint32_t left = static_cast<uint32_t>(results.offset(i));
  int32_t place = 0;
#pragma unroll 1
  for (int axis = repeated.rank - 1; axis >= 0; --axis) {
    uint32_t at;
    left = repeated.by_dim[axis].split(left, &at);
    place += static_cast<int32_t>(at) * repeated.stride[axis];
  }
  return place < repeated.last ? place : repeated.last;
}

// A call of its own, so that kernels stay small; results are handed over in registers.
static __device__ __noinline__ float4 absorbed_into(const Absorbed& ending, float4 values, int64_t first, int count) {
  float v[4] = {values.x, values.y, values.z, values.w};
  apply_epilogue(ending.program, v, PointwiseResults{ending, first, count});
  return make_float4(v[0], v[1], v[2], v[3]);
}

template <int n, class T>
__device__ void Absorbed::operator()(int64_t first, int count, T (&values)[n]) const {
  static_assert(n % 4 == 0, "results are handed over by fours");
#pragma unroll
  for (int i = 0; i < n; i += 4) {
    const float4 four =
        make_float4(to_float(values[i]), to_float(values[i + 1]), to_float(values[i + 2]), to_float(values[i + 3]));
    const float4 done = absorbed_into(*this, four, first + i, count - i);
    values[i] = float_to<T>(done.x), values[i + 1] = float_to<T>(done.y);
    values[i + 2] = float_to<T>(done.z), values[i + 3] = float_to<T>(done.w);
  }
}

#endif

DOVETAIL_CLOSE_NAMESPACE

#endif
