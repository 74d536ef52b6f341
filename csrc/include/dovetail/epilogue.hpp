// SPDX-License-Identifier: Apache-2.0
// Epilogues for authors of kernels: pointwise layers that a kernel computes on its result before it is stored. A row
//
//   - says what it computes:       .absorb = absorb, where absorb returns dovetail::absorbed(program, outputs[0])
//   - gets the program in a run:   const EpilogueProgram program = dovetail::epilogue_program(run)
//     or, with a state, in plan:   dovetail::planned_epilogue(setup.epilogue(), outputs[0]); and then in each run
//                                  dovetail::set_operands(run, &program)
//   - applies it to each tile:     DT_ISA::apply_epilogue of epilogue_tile.hpp on the CPU, on a tile in L1;
//                                  dovetail::apply_epilogue of epilogue.cuh on CUDA, on values in registers
//
// These helpers compute all operations of plugin.h, on results in float32, with operands of three forms: a tensor as
// large as the output, one value for each channel (of each image, or of all), and one value. A row that can do more, or
// wants to do it another way, reads run.epilogue() itself.
#ifndef DOVETAIL_EPILOGUE_HPP
#define DOVETAIL_EPILOGUE_HPP

#include "dovetail/detail/views.hpp"
#include "dovetail/epilogue_program.h"

DOVETAIL_OPEN_NAMESPACE

namespace detail {

// The channel axis: that of the format, or the second axis.
inline int channel_axis_of(int32_t format, int rank) {
  switch (format) {
#define DT_CHANNEL_AXIS(name, value, lanes, kind, spatial, word) \
  case value:                                                    \
    if (kind != 0) return rank - spatial - 1;                    \
    break;
    DT_TENSOR_FORMATS(DT_CHANNEL_AXIS)
#undef DT_CHANNEL_AXIS
  }
  return rank > 1 ? 1 : 0;
}

inline bool is_read(int32_t type) {
  return type == DT_TYPE_FLOAT || type == DT_TYPE_HALF || type == DT_TYPE_BF16 || type == DT_TYPE_BOOL;
}

// The form of an operand relative to a result; kForms if it has none of them. Extents that are not known are -1.
inline int32_t form_of(const int64_t* dims, int32_t format, const int64_t* result, int32_t result_format, int rank,
                       int channel) {
  int64_t volume = 1;
  bool is_whole = format == result_format, is_by_channel = true;
  for (int axis = 0; axis < rank; ++axis) {
    volume = dims[axis] == 1 ? volume : 2;
    is_whole = is_whole && dims[axis] == result[axis];
    is_by_channel = is_by_channel && (dims[axis] == 1 || axis == channel || (axis == 0 && channel == 1));
  }
  if (format != DT_FORMAT_LINEAR) return is_whole ? kEpilogueWhole : kEpilogueForms;
  return volume == 1     ? kEpilogueOne
         : is_whole      ? kEpilogueWhole
         : is_by_channel ? kEpilogueByChannel
                         : kEpilogueRepeated;
}

// Assigns a register to each value, from its computation to its last use. False if there are too few registers.
class EpilogueRegisters {
 public:
  // Registers of the steps [0, n) into `to`; the result itself is in register 0.
  static bool assign(const Epilogue& program, int n, int8_t* to) {
    int last_use[kEpilogueSteps + 1] = {};  // of the result, then of each step
    for (int i = 0; i < n; ++i)
      for (int k = 0; k < program.step(i).n_operands; ++k) {
        const int value = value_of(program.step(i), k);
        if (value >= 0) last_use[value] = i;
      }
    last_use[n] = n;
    int8_t holds[kEpilogueRegisters];  // the value in each register, -1 for none
    for (int r = 0; r < kEpilogueRegisters; ++r) holds[r] = static_cast<int8_t>(r == 0 ? 0 : -1);
    for (int i = 0; i < n; ++i) {
      for (int8_t& value : holds)  // an operation may overwrite its operands: it works element by element
        if (value >= 0 && last_use[value] <= i) value = -1;
      int free = 0;
      while (free < kEpilogueRegisters && holds[free] >= 0) ++free;
      if (free == kEpilogueRegisters) return false;
      holds[free] = static_cast<int8_t>(i + 1);
      to[i] = static_cast<int8_t>(free);
    }
    return true;
  }
  // 0 for the result, i + 1 for step i, -1 for an operand that is neither.
  static int value_of(const dt_step& step, int k) {
    return step.operand_kind[k] == DT_OPERAND_RESULT ? 0
           : step.operand_kind[k] == DT_OPERAND_STEP ? step.operand_index[k] + 1
                                                     : -1;
  }
};

}  // namespace detail

// How many steps the helpers compute, whole layers, for a row that stores the type of `output`: for Row::absorb.
// `channel_axis` is the axis along which operands with one value for each channel lie, -1 for that of the format: of
// matrices it may be the last one.
// `takes_repeated`: the row reads operands of the form kEpilogueRepeated, or turns them into one that the helpers read.
inline int absorbed(const Epilogue& program, const Desc& output, int channel_axis = -1, bool takes_repeated = false) {
  const int channel = channel_axis >= 0 ? channel_axis : detail::channel_axis_of(output.raw()->format, output.rank());
  int n = 0;
  int8_t registers[kEpilogueSteps];
  for (int i = 0; i < program.n_steps() && i < kEpilogueSteps; ++i) {
    const dt_step& step = program.step(i);
    const bool is_rounding = step.operation == DT_STEP_CAST && i + 1 < program.n_steps() &&
                             (step.data_type == DT_TYPE_HALF || step.data_type == DT_TYPE_BF16);
    if (step.operation < 0 || step.operation > DT_STEP_CAST || is_rounding) break;
    bool is_known = true;
    for (int k = 0; k < step.n_operands; ++k) {
      if (step.operand_kind[k] != DT_OPERAND_TENSOR) continue;
      const dt_desc& desc = *program.raw()->descs[step.operand_index[k]];
      is_known = is_known && step.operand_index[k] < kEpilogueTensors && detail::is_read(desc.data_type) &&
                 desc.ndim == output.rank() &&
                 detail::form_of(desc.dims, desc.format, output.dims(), output.raw()->format, output.rank(), channel) <
                     (takes_repeated ? kEpilogueForms : kEpilogueRepeated);
    }
    if (!is_known || !detail::EpilogueRegisters::assign(program, i + 1, registers)) break;
    const bool ends_layer = i + 1 == program.n_steps() || program.step(i + 1).layer != step.layer;
    if (ends_layer && step.data_type == static_cast<int32_t>(output.type())) n = i + 1;
  }
  return n;
}

// A program in the form that kernels take, without the addresses of its operands: for Row::plan. `program` is that of
// its setup, `output` the output 0; the others are those of `absorbed`. Empty where there is none. Throws what `absorbed`
// would not take.
inline EpilogueProgram planned_epilogue(const Epilogue& program, const Desc& output, int channel_axis = -1,
                                        bool takes_repeated = false) {
  EpilogueProgram made = {};
  if (!program) return made;
  int8_t registers[kEpilogueSteps];
  if (program.n_steps() > kEpilogueSteps || program.n_tensors() > kEpilogueTensors ||
      !detail::EpilogueRegisters::assign(program, program.n_steps(), registers))
    throw Error(DT_UNSUPPORTED, "the epilogue has more steps than its kernel said that it computes");
  made.n_steps = program.n_steps();
  made.n_tensors = program.n_tensors();
  for (int i = 0; i < made.n_steps; ++i) {
    const dt_step& step = program.step(i);
    EpilogueStep& to = made.steps[i];
    to.operation = static_cast<int16_t>(step.operation);
    to.to = registers[i];
    to.n_operands = static_cast<int8_t>(step.n_operands);
    to.data_type = step.data_type;
    for (int k = 0; k < step.n_operands; ++k) {
      const int value = detail::EpilogueRegisters::value_of(step, k);
      to.kind[k] = static_cast<int8_t>(value >= 0                                    ? kEpilogueRegister
                                       : step.operand_kind[k] == DT_OPERAND_CONSTANT ? kEpilogueConstant
                                                                                     : kEpilogueTensor);
      to.index[k] = static_cast<int8_t>(value == 0 ? 0 : value > 0 ? registers[value - 1] : step.operand_index[k]);
      to.constant[k] = step.operand_constant[k];
    }
  }
  const int32_t format = static_cast<int32_t>(output.format());
  const int channel = channel_axis >= 0 ? channel_axis : detail::channel_axis_of(format, output.rank());
  for (int t = 0; t < made.n_tensors; ++t) {
    const Tensor tensor(program.raw()->tensors[t]);
    EpilogueOperand& to = made.tensors[t];
    to.type = static_cast<int32_t>(tensor.type());
    to.form = detail::form_of(tensor.dims(), static_cast<int32_t>(tensor.format()), output.dims(), format,
                              output.rank(), channel);
    if (to.form >= (takes_repeated ? kEpilogueForms : kEpilogueRepeated) || !detail::is_read(to.type))
      throw Error(DT_UNSUPPORTED, "an operand of the epilogue has another form than its kernel said that it reads");
    if (to.form != kEpilogueByChannel) continue;
    const int64_t n_channels = tensor.extent(channel);
    to.channel_step = n_channels == 1 ? 0 : 1;
    to.image_step = channel == 1 && tensor.extent(0) > 1 ? n_channels : 0;
  }
  return made;
}

// Where the operands of a planned program are in this run.
inline void set_operands(const Run& run, EpilogueProgram* program) {
  if (program->n_tensors == 0) return;
  const Epilogue given = run.epilogue();
  for (int t = 0; t < program->n_tensors; ++t) program->tensors[t].data = given.raw()->tensors[t]->data;
}

// Both at once, for rows without a state.
inline EpilogueProgram epilogue_program(const Run& run, int channel_axis = -1) {
  const Epilogue program = run.epilogue();
  if (!program) return EpilogueProgram{};
  const detail::RunDesc output(*run.output(0).raw());
  EpilogueProgram made = planned_epilogue(program, output.desc(), channel_axis);
  set_operands(run, &made);
  return made;
}

DOVETAIL_CLOSE_NAMESPACE

#endif
