// SPDX-License-Identifier: Apache-2.0
// Pointwise layers that a pointwise kernel computes on its results, a piece at a time while it is in the cache.
// Filled by epilogue.hpp.
#ifndef DOVETAIL_KERNELS_POINTWISE_EPILOGUE_ARGS_HPP
#define DOVETAIL_KERNELS_POINTWISE_EPILOGUE_ARGS_HPP

#include "dovetail/detail/isa.hpp"
#include "dovetail/epilogue_program.h"

constexpr int64_t kPointwiseChunk = 1024;  // results between two kernels: 4 KiB, and as much for each operand
constexpr int kRepeatedRank = 9;           // eight, and the lanes of a blocked format

// An operand that is repeated: its elements in the order of the results in memory, as axes with strides, outermost
// first. A stride is 0 where one element stands for all.
struct RepeatedOperand {
  int32_t rank;  // 0: as large as the result, or one value
  int64_t dims[kRepeatedRank], stride[kRepeatedRank];
  int64_t volume;
};

struct PointwiseEpilogue {
  EpilogueProgram program;  // repeated operands have the form of whole ones: they are laid out for each chunk
  RepeatedOperand repeated[kEpilogueTensors];
  int32_t n_repeated;
};

// Applies the program to n results, at most kPointwiseChunk, of which the first is element `first` of the output.
DOVETAIL_KERNELS(void pointwise_epilogue(const PointwiseEpilogue& epilogue, float* results, int64_t first, int64_t n);)

#endif
