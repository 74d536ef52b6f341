// SPDX-License-Identifier: Apache-2.0
// An epilogue in the form that kernels take: plain data, passed by value to CPU kernels and CUDA kernels.
// Made by dovetail::epilogue_program of epilogue.hpp. Fits into 2 KiB of a kernel's parameters.
#ifndef DOVETAIL_EPILOGUE_PROGRAM_H
#define DOVETAIL_EPILOGUE_PROGRAM_H

#include <stdint.h>

#include "dovetail/plugin.h"

enum {
  kEpilogueSteps = 32,
  kEpilogueTensors = 8,
  kEpilogueRegisters = 4  // values that are needed at once; the result is in register 0
};

enum { kEpilogueRegister = 0, kEpilogueConstant = 1, kEpilogueTensor = 2 };  // kinds of operands

// Forms of tensors, next to the output.
enum {
  kEpilogueWhole = 0,      // as large as the output, and in its format: where the output's element lies
  kEpilogueByChannel = 1,  // at image * image_step + channel * channel_step
  kEpilogueOne = 2,        // one value
  kEpilogueRepeated = 3,   // row-major, repeated along other axes: for rows that ask for it, the helpers do not read it
  kEpilogueForms = 4
};

typedef struct EpilogueStep {
  int16_t operation;      // DT_STEP_*
  int8_t to, n_operands;  // the register that takes the value
  int8_t kind[3], index[3];
  int32_t data_type;  // of CAST
  float constant[3];
} EpilogueStep;

typedef struct EpilogueOperand {
  const void* data;
  int32_t type;  // DT_TYPE_*: FLOAT, HALF, BF16 or BOOL
  int32_t form;
  int64_t image_step, channel_step;
} EpilogueOperand;

typedef struct EpilogueProgram {
  int32_t n_steps;  // 0: nothing to do
  int32_t n_tensors;
  EpilogueStep steps[kEpilogueSteps];
  EpilogueOperand tensors[kEpilogueTensors];
} EpilogueProgram;

#endif
