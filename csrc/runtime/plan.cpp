// SPDX-License-Identifier: Apache-2.0
#include "runtime/plan.hpp"

#include <algorithm>

#include "runtime/layout.hpp"
#include "runtime/plan_reader.hpp"

namespace dovetail {
namespace {

// Where the sentence is about a program: the tensor or the constraint that uses it.
[[noreturn]] void blame(const Plan& plan, size_t program, const Leaves& inputs, const std::string& problem) {
  const auto index = static_cast<int32_t>(program);
  for (const PlanTensor& tensor : plan.tensors)
    for (int axis = 0; axis < tensor.rank; ++axis)
      if (tensor.dims[axis].program == index)
        throw status::extent_invalid(tensor.name, tensor.dim_name(axis), plan.text_of({-1, index}), problem,
                                     plan.inputs_text(inputs));
  throw status::constraint_broken(plan.name, plan.text_of({-1, index}) + " " + problem, plan.inputs_text(inputs));
}

uint64_t room_of(const PlanTensor& tensor, size_t index, const PlanProfile& profile, const PlanShapes& shapes) {
  switch (tensor.where) {
    case Where::kArena:
      return profile.arena(tensor.device).bytes - static_cast<uint64_t>(profile.offsets[index]);
    case Where::kAlias:
      return shapes.bytes[static_cast<size_t>(tensor.root)];
    default:
      return kMaxBytes;  // a constant was measured at load; inputs and outputs are the user's
  }
}

// Bytes of one memory: of an arena, or of an output.
struct Span {
  int32_t memory;
  uint64_t begin, end;

  bool meets(const Span& other) const { return memory == other.memory && begin < other.end && other.begin < end; }
};

// A step may write over what it reads only where the two begin together: kernels that work in place know about that.
void check_overlaps(const Plan& plan, const PlanProfile& profile, const PlanShapes& shapes) {
  const auto span_of = [&](int32_t t) -> Span {
    const auto index = static_cast<size_t>(t), root = static_cast<size_t>(plan.tensors[index].root);
    if (plan.tensors[root].where != Where::kArena) return {plan.tensors[index].root, 0, shapes.bytes[index]};
    const auto offset = static_cast<uint64_t>(profile.offsets[root]);
    return {-plan.tensors[root].device, offset, offset + shapes.bytes[index]};
  };
  for (size_t i = 0; i < plan.steps.size(); ++i) {
    const PlanStep& step = plan.steps[i];
    const auto offset = static_cast<uint64_t>(profile.workspace_offsets[i]);
    const Span workspace = {-step.device, offset, offset + profile.workspace_bytes[i]};
    const auto fail = [&](int32_t t, const std::string& other) {
      throw status::memory_shared(step.layer, plan.tensors[static_cast<size_t>(t)].name, other);
    };
    for (int32_t output : step.outputs) {
      const Span written = span_of(output);
      for (const auto* others : {&step.inputs, &step.outputs}) {
        for (int32_t t : *others) {
          if (t < 0 || t == output || !span_of(t).meets(written)) continue;
          if (others == &step.inputs && span_of(t).begin == written.begin) continue;
          fail(output, "'" + plan.tensors[static_cast<size_t>(t)].name + "'");
        }
      }
      if (workspace.meets(written)) fail(output, "its workspace");
    }
    for (int32_t input : step.inputs)
      if (input >= 0 && workspace.meets(span_of(input))) fail(input, "its workspace");
  }
}

}  // namespace

bool PlanTensor::is_static() const {
  for (int axis = 0; axis < rank; ++axis)
    if (dims[axis].value < 0) return false;
  return true;
}

std::string PlanTensor::dim_name(int axis) const {
  return dim_names[axis].empty() ? std::to_string(axis) : dim_names[axis];
}

std::string Plan::text_of(const Extent& extent) const {
  if (extent.program < 0) return std::to_string(extent.value);
  const auto input_name = [this](int input) -> const PlanTensor& {
    return tensors[static_cast<size_t>(inputs[static_cast<size_t>(input)])];
  };
  LeafNames names;
  names.extent = [&](int input, int axis) {
    const PlanTensor& tensor = input_name(input);
    return tensor.dim_names[axis].empty() ? tensor.name + "[" + std::to_string(axis) + "]"
                                          : tensor.name + "." + tensor.dim_names[axis];
  };
  names.element = [&](int input, int element) {
    return "value of " + input_name(input).name + "[" + std::to_string(element) + "]";
  };
  names.size = [this](int size) { return tensors[static_cast<size_t>(sizes[static_cast<size_t>(size)].tensor)].name; };
  return program_text(programs[static_cast<size_t>(extent.program)], names);
}

std::string Plan::inputs_text(const Leaves& given) const {
  std::string text;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const PlanTensor& tensor = tensors[static_cast<size_t>(inputs[i])];
    text += (i ? ", " : "") + tensor.name + " " + dims_text(given.extents[i].data(), tensor.rank);
    if (!is_shape_input(i)) continue;
    for (size_t k = 0; k < given.contents[i].size(); ++k)
      text += (k ? ", " : " = {") + std::to_string(given.contents[i][k]);
    text += "}";
  }
  return text;
}

int Plan::needed_sizes_of(int32_t index) const {
  const PlanTensor& tensor = tensors[static_cast<size_t>(index)];
  int needed = 0;
  for (int axis = 0; axis < tensor.rank; ++axis)
    if (tensor.dims[axis].program >= 0)
      needed = std::max(needed, needed_sizes[static_cast<size_t>(tensor.dims[axis].program)]);
  return needed;
}

std::shared_ptr<const Plan> read_plan(FileBytes bytes) {
  auto plan = std::make_shared<Plan>();
  PlanReader(plan.get()).read(std::move(bytes));
  // The largest memory is not always at the largest extents (a subtraction shrinks), so all three are measured here,
  // and the extents in use again when they are set.
  for (size_t i = 0; i < plan->profiles.size(); ++i) {
    const PlanProfile& profile = plan->profiles[i];
    for (const Leaves* leaves : {&profile.min, &profile.opt, &profile.max}) {
      PlanShapes shapes;
      try {
        // With sizes taken as bounds, for at these ends they are guesses.
        evaluate_shapes(*plan, profile, *leaves, 0, &shapes);
      } catch (const Failure& failure) {
        throw status::plan_corrupt("profiles[" + std::to_string(i) + "]", "one whose tensors can exist",
                                   failure.message);
      }
    }
  }
  return plan;
}

void evaluate_shapes(const Plan& plan, const PlanProfile& profile, const Leaves& leaves, int n_known,
                     PlanShapes* shapes) {
  shapes->programs.resize(plan.programs.size());
  shapes->dims.resize(plan.tensors.size());
  shapes->bytes.resize(plan.tensors.size());
  for (size_t i = 0; i < plan.programs.size(); ++i) {
    const DimsTrouble trouble = evaluate(plan.programs[i], leaves, &shapes->programs[i]);
    if (plan.needed_sizes[i] > n_known) {
      if (trouble != DimsTrouble::kNone || shapes->programs[i] < 0) shapes->programs[i] = 0;
      continue;
    }
    switch (trouble) {
      case DimsTrouble::kNone:
        break;
      case DimsTrouble::kOverflow:
        blame(plan, i, leaves, "does not fit into 64 bits");
      case DimsTrouble::kDivisionByZero:
        blame(plan, i, leaves, "divides by zero");
    }
  }
  for (size_t t = 0; t < plan.tensors.size(); ++t) {
    const PlanTensor& tensor = plan.tensors[t];
    Dims& dims = shapes->dims[t];
    for (int axis = 0; axis < tensor.rank; ++axis) {
      const Extent& extent = tensor.dims[axis];
      dims[static_cast<size_t>(axis)] =
          extent.program >= 0 ? shapes->programs[static_cast<size_t>(extent.program)] : extent.value;
    }
  }
  for (size_t i = 0; i < plan.inputs.size(); ++i) {
    const auto t = static_cast<size_t>(plan.inputs[i]);
    const PlanTensor& tensor = plan.tensors[t];
    for (int axis = 0; axis < tensor.rank; ++axis) {
      const auto a = static_cast<size_t>(axis);
      const bool is_free = tensor.dims[axis].value < 0 && tensor.dims[axis].program < 0;
      if (!is_free && leaves.extents[i][a] != shapes->dims[t][a])
        throw status::unequal_extent(tensor.name, tensor.dim_name(axis), leaves.extents[i][a], shapes->dims[t][a],
                                     plan.text_of(tensor.dims[axis]));
    }
    shapes->dims[t] = leaves.extents[i];
  }
  for (size_t t = 0; t < plan.tensors.size(); ++t) {
    const PlanTensor& tensor = plan.tensors[t];
    const Dims& dims = shapes->dims[t];
    for (int axis = 0; axis < tensor.rank; ++axis)
      if (dims[static_cast<size_t>(axis)] < 0)
        throw status::extent_invalid(tensor.name, tensor.dim_name(axis), plan.text_of(tensor.dims[axis]),
                                     "is " + std::to_string(dims[static_cast<size_t>(axis)]), plan.inputs_text(leaves));
    if (!tensor_bytes(dims.data(), tensor.rank, tensor.data_type, tensor.format, &shapes->bytes[t]))
      throw status::tensor_outgrows_arena(tensor.name, kMaxBytes, 0, profile.arena(tensor.device).bytes);
  }
  for (size_t t = 0; t < plan.tensors.size(); ++t) {
    const uint64_t room = room_of(plan.tensors[t], t, profile, *shapes);
    if (shapes->bytes[t] > room)
      throw status::tensor_outgrows_arena(plan.tensors[t].name, shapes->bytes[t],
                                          profile.offsets[t] < 0 ? 0 : static_cast<uint64_t>(profile.offsets[t]), room);
  }
  check_overlaps(plan, profile, *shapes);
}

void check_constraints(const Plan& plan, const Leaves& leaves, int n_known, const PlanShapes& shapes) {
  for (const PlanConstraint& constraint : plan.constraints) {
    const auto program = static_cast<size_t>(constraint.program);
    if (plan.needed_sizes[program] <= n_known && shapes.programs[program] == 0)
      throw status::constraint_broken(
          plan.name, constraint.text.empty() ? plan.text_of({-1, constraint.program}) : constraint.text,
          plan.inputs_text(leaves));
  }
}

}  // namespace dovetail
