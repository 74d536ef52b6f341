// SPDX-License-Identifier: Apache-2.0
// What a kernel on a GPU does to its results before it stores them: an epilogue whose first steps are computed by
// instructions of the kernel, since most are these, and whose others are interpreted. For rows files; kernels compute it
// with ending.cuh.
#ifndef DOVETAIL_KERNELS_CUDA_ENDING_HPP
#define DOVETAIL_KERNELS_CUDA_ENDING_HPP

#include "dovetail/epilogue_program.h"
#include "dovetail/plugin.hpp"

DOVETAIL_OPEN_NAMESPACE

// A sum with a tensor, then limits, then the other steps. Everything of a network like ResNet is in the first two.
struct CudaEnding {
  const void* residual = nullptr;  // as large as the output and in its format, or null
  int32_t residual_type = 0;
  float low = -__builtin_inff(), high = __builtin_inff();  // the value stays between them; nan stays nan
  EpilogueProgram program = {};
};

// One value for each channel, taken out of the front of a program.
struct CudaBias {
  const void* data;  // null: there is none
  int32_t type;
};

namespace cuda_ending {

// The operand of a first step that is not the result, if the step replaces the result and has two operands; else -1.
inline int other_operand(const EpilogueStep& step) {
  if (step.to != 0 || step.n_operands != 2) return -1;
  const auto is_result = [&](int k) { return step.kind[k] == kEpilogueRegister && step.index[k] == 0; };
  if (is_result(0) == is_result(1)) return -1;
  return is_result(0) ? 1 : 0;
}

inline void drop_first(EpilogueProgram* program) {
  --program->n_steps;
  for (int i = 0; i < program->n_steps; ++i) program->steps[i] = program->steps[i + 1];
}

// The tensor that is added by the first step, if it is of this form; else null.
inline const EpilogueOperand* added_first(const EpilogueProgram& program, int32_t form) {
  if (program.n_steps == 0 || program.steps[0].operation != DT_STEP_ADD) return nullptr;
  const int k = other_operand(program.steps[0]);
  if (k < 0 || program.steps[0].kind[k] != kEpilogueTensor) return nullptr;
  const EpilogueOperand& tensor = program.tensors[program.steps[0].index[k]];
  return tensor.form == form && tensor.type != DT_TYPE_BOOL ? &tensor : nullptr;
}

}  // namespace cuda_ending

// Takes a bias out of the front of the program, for kernels that add one themselves.
inline CudaBias taken_bias(EpilogueProgram* program) {
  const EpilogueOperand* const bias = cuda_ending::added_first(*program, kEpilogueByChannel);
  if (bias == nullptr || bias->image_step != 0 || bias->channel_step != 1) return {};
  const CudaBias taken = {bias->data, bias->type};
  cuda_ending::drop_first(program);
  return taken;
}

// The ending that computes a program whose operands are set. An empty one changes nothing.
inline CudaEnding ending_of(const EpilogueProgram& program) {
  CudaEnding made;
  made.program = program;
  EpilogueProgram& rest = made.program;
  if (const EpilogueOperand* const residual = cuda_ending::added_first(rest, kEpilogueWhole)) {
    made.residual = residual->data;
    made.residual_type = residual->type;
    cuda_ending::drop_first(&rest);
  }
  while (rest.n_steps > 0) {
    const EpilogueStep& step = rest.steps[0];
    const int k = cuda_ending::other_operand(step);
    const bool is_limit = step.operation == DT_STEP_MAX || step.operation == DT_STEP_MIN;
    if (!is_limit || k < 0 || step.kind[k] != kEpilogueConstant || step.constant[k] != step.constant[k]) break;
    const float limit = step.constant[k];
    if (step.operation == DT_STEP_MAX) {
      made.low = made.low > limit ? made.low : limit;
      made.high = made.high > limit ? made.high : limit;
    } else {
      made.low = made.low < limit ? made.low : limit;
      made.high = made.high < limit ? made.high : limit;
    }
    cuda_ending::drop_first(&rest);
  }
  return made;
}

DOVETAIL_CLOSE_NAMESPACE

#endif
