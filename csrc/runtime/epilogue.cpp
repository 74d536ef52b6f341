// SPDX-License-Identifier: Apache-2.0
#include "runtime/epilogue.hpp"

#include "runtime/layout.hpp"

namespace dovetail {
namespace {

// Operands of an operation, -1 for one that plugin.h does not have.
int32_t operands_of(int32_t operation) {
  switch (operation) {
#define DT_OPERANDS(name, value, n_operands, formula) \
  case value:                                         \
    return n_operands;
    DT_STEP_OPERATIONS(DT_OPERANDS)
#undef DT_OPERANDS
    default:
      return -1;
  }
}

std::string step_problem(const dt_step& step, size_t index, int32_t layer_before, size_t n_tensors) {
  const int32_t wanted = operands_of(step.operation);
  if (wanted < 0) return "operation " + std::to_string(step.operation) + ", which plugin.h does not have";
  if (step.n_operands != wanted)
    return std::to_string(step.n_operands) + " operands, its operation has " + std::to_string(wanted);
  if (!type_info(step.data_type))
    return "data type " + std::to_string(step.data_type) + ", which plugin.h does not have";
  if (step.layer != layer_before && step.layer != layer_before + 1)
    return "layer " + std::to_string(step.layer) + " behind layer " + std::to_string(layer_before);
  for (int32_t k = 0; k < wanted; ++k) {
    const int64_t kind = step.operand_kind[k], at = step.operand_index[k];
    if (kind < DT_OPERAND_RESULT || kind > DT_OPERAND_TENSOR)
      return "an operand of kind " + std::to_string(kind) + ", which plugin.h does not have";
    if (kind == DT_OPERAND_STEP && (at < 0 || at >= static_cast<int64_t>(index)))
      return "the value of step " + std::to_string(at) + ", which is not before it";
    if (kind == DT_OPERAND_TENSOR && (at < 0 || at >= static_cast<int64_t>(n_tensors)))
      return "tensor " + std::to_string(at) + " of " + std::to_string(n_tensors);
  }
  return "";
}

}  // namespace

std::string EpilogueProgram::problem(size_t n_tensors) const {
  if (steps.empty() || steps.size() > kMaxEpilogueSteps)
    return std::to_string(steps.size()) + " steps, 1.." + std::to_string(kMaxEpilogueSteps) + " are allowed";
  if (!type_info(result_type)) return "result type " + std::to_string(result_type) + ", which plugin.h does not have";
  int32_t layer = -1;
  for (size_t i = 0; i < steps.size(); ++i) {
    const std::string wrong = step_problem(steps[i], i, i == 0 ? -1 : layer, n_tensors);
    if (!wrong.empty()) return "step " + std::to_string(i) + " has " + wrong;
    layer = steps[i].layer;
  }
  return steps[0].layer == 0 ? "" : "step 0 has layer " + std::to_string(steps[0].layer) + ", the first one is 0";
}

EpilogueTable::EpilogueTable(const EpilogueProgram& program, uint32_t n_tensors, const dt_desc* const* descs,
                             const dt_tensor* const* tensors) {
  for (const dt_step& step : program.steps) pointers_.push_back(&step);
  table_ = {DT_HDR(dt_epilogue), static_cast<uint32_t>(pointers_.size()), pointers_.data(), n_tensors, descs, tensors};
}

std::string cannot_repeat(const int64_t* dims, const int64_t* result, int32_t rank, bool may_repeat) {
  for (int32_t axis = 0; axis < rank; ++axis)
    if (dims[axis] != result[axis] && !(may_repeat && dims[axis] == 1))
      return "axis " + std::to_string(axis) + " has extent " + std::to_string(dims[axis]) + ", the result has " +
             std::to_string(result[axis]);
  return "";
}

}  // namespace dovetail
