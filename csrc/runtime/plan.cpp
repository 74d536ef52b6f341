// SPDX-License-Identifier: Apache-2.0
#include "runtime/plan.hpp"

#include <algorithm>
#include <exception>
#include <tuple>
#include <utility>

#include "runtime/checksum.hpp"
#include "runtime/layout.hpp"
#include "runtime/plan_reader.hpp"
#include "runtime/thread_pool.hpp"

namespace dovetail {
namespace {

// Calls `evaluate` for programs and `learn` for sizes from `first` on, each behind what it follows from.
template <class Evaluate, class Learn>
void walk_sizes(const Plan& plan, size_t first, const Evaluate& evaluate, const Learn& learn) {
  size_t next = 0;
  for (size_t size = first; size < plan.sizes.size(); ++size) {
    for (; next < plan.program_order.size(); ++next) {
      const auto program = static_cast<size_t>(plan.program_order[next]);
      if (plan.needed_sizes[program] > static_cast<int>(size)) break;
      evaluate(program);
    }
    learn(size, static_cast<size_t>(plan.sizes[size].upper));
  }
}

void evaluate_one(const Plan& plan, size_t program, const Leaves& leaves, ProgramResults* results) {
  results->troubles[program] = evaluate(plan.programs[program], leaves, &results->values[program], *results);
}

void resize(const Plan& plan, ProgramResults* results) {
  results->values.resize(plan.programs.size());
  results->troubles.resize(plan.programs.size());
}

// What is wrong with an extent, "" if nothing is.
std::string problem_of(DimsTrouble trouble, int64_t value) {
  if (trouble == DimsTrouble::kOverflow) return "does not fit into 64 bits";
  if (trouble == DimsTrouble::kDivisionByZero) return "divides by zero";
  return value < 0 ? "is " + std::to_string(value) : "";
}

uint64_t room_of(const PlanTensor& tensor, size_t index, const PlanProfile& profile, const PlanShapes& shapes) {
  switch (tensor.where) {
    case Where::kArena:
      return profile.arena(tensor.device).bytes - static_cast<uint64_t>(profile.offsets[index]);
    case Where::kAlias:
      return shapes.bytes[static_cast<size_t>(tensor.root)] -
             std::min(shapes.bytes[static_cast<size_t>(tensor.root)], static_cast<uint64_t>(tensor.root_at));
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
// What a loop carries is in either of two memories, of which each step has to keep clear.
// Sorted by place, so that a step of many tensors does not take the square of their number; empty tensors meet nothing.
class OverlapCheck {
 public:
  OverlapCheck(const Plan& plan, const PlanProfile& profile, const PlanShapes& shapes)
      : plan_(plan), profile_(profile), shapes_(shapes) {}

  void check(size_t i) {
    const PlanStep& step = plan_.steps[i];
    const auto offset = static_cast<uint64_t>(profile_.workspace_offsets[i]);
    const Span workspace = {-step.device, offset, offset + profile_.workspace_bytes[i]};
    written_.clear();
    for (int32_t t : step.outputs) add_written(t);
    if (step.control == Control::kLoop)
      for (int32_t t : plan_.blocks[static_cast<size_t>(step.blocks[0])].inputs) add_written(t);
    std::sort(written_.begin(), written_.end(), [](const Use& a, const Use& b) { return before(a.span, b.span); });
    for (size_t k = 1; k < written_.size(); ++k)
      if (written_[k].span.meets(written_[k - 1].span)) fail(step, written_[k].tensor, written_[k - 1].tensor);
    for (const Use& use : written_)
      if (workspace.meets(use.span)) fail(step, use.tensor);
    for (int32_t t : step.inputs)
      if (t >= 0) each_use(t, [&](const Use& read) { check_read(step, read, workspace); });
  }

 private:
  struct Use {
    Span span;
    int32_t tensor;
    bool is_elsewhere;  // where its partner was at first
  };

  static bool before(const Span& a, const Span& b) {
    return std::tie(a.memory, a.begin, a.end) < std::tie(b.memory, b.begin, b.end);
  }

  // Of those that are not empty: one, or two of a tensor that changes places.
  template <class Visit>
  void each_use(int32_t t, const Visit& visit) const {
    const int32_t root = plan_.tensors[static_cast<size_t>(t)].root;
    const int32_t partner = plan_.tensors[static_cast<size_t>(root)].partner;
    if (shapes_.bytes[static_cast<size_t>(t)] == 0) return;
    visit(Use{span_at(t, root), t, false});
    if (partner >= 0) visit(Use{span_at(t, partner), t, true});
  }

  void add_written(int32_t t) {
    each_use(t, [this](const Use& use) { written_.push_back(use); });
  }

  // What is written does not overlap: only the last that begins before the end of `read`, and those ahead of it, meet.
  void check_read(const PlanStep& step, const Use& read, const Span& workspace) const {
    if (workspace.meets(read.span)) fail(step, read.tensor);
    auto at = std::lower_bound(written_.begin(), written_.end(), Span{read.span.memory, read.span.end, 0},
                               [](const Use& use, const Span& end) { return before(use.span, end); });
    while (at != written_.begin()) {
      --at;
      if (!at->span.meets(read.span)) return;
      if (at->tensor == read.tensor || are_apart(*at, read)) continue;
      if (at->span.begin != read.span.begin || step.is_control()) fail(step, at->tensor, read.tensor);
    }
  }

  // Partners change places together, so neither is where it was while the other is where it was not.
  bool are_apart(const Use& a, const Use& b) const {
    const auto root = [this](const Use& use) { return plan_.tensors[static_cast<size_t>(use.tensor)].root; };
    const int32_t partner = plan_.tensors[static_cast<size_t>(root(a))].partner;
    return a.is_elsewhere != b.is_elsewhere && (root(a) == root(b) || partner == root(b));
  }

  // Of the tensor, in the memory of `owner`.
  Span span_at(int32_t t, int32_t owner) const {
    const auto index = static_cast<size_t>(t), root = static_cast<size_t>(owner);
    const auto at = static_cast<uint64_t>(plan_.tensors[index].root_at);
    if (plan_.tensors[root].where != Where::kArena) return {owner, at, at + shapes_.bytes[index]};
    const auto offset = static_cast<uint64_t>(profile_.offsets[root]) + at;
    return {-plan_.tensors[root].device, offset, offset + shapes_.bytes[index]};
  }

  // `other` -1: the workspace.
  [[noreturn]] void fail(const PlanStep& step, int32_t t, int32_t other = -1) const {
    throw status::memory_shared(
        step.layer, plan_.tensors[static_cast<size_t>(t)].name,
        other < 0 ? "its workspace" : "'" + plan_.tensors[static_cast<size_t>(other)].name + "'");
  }

  const Plan& plan_;
  const PlanProfile& profile_;
  const PlanShapes& shapes_;
  std::vector<Use> written_;
};

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
  return program_text(programs, static_cast<size_t>(extent.program), names);
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

const PlanRequirement* Plan::requirement_of(const std::string& implementation) const {
  const auto found = requirements.find(implementation);
  return found == requirements.end() ? nullptr : &found->second;
}

int Plan::needed_sizes_of(int32_t index) const {
  const PlanTensor& tensor = tensors[static_cast<size_t>(index)];
  int needed = 0;
  for (int axis = 0; axis < tensor.rank; ++axis)
    if (tensor.dims[axis].program >= 0)
      needed = std::max(needed, needed_sizes[static_cast<size_t>(tensor.dims[axis].program)]);
  return needed;
}

namespace {

void read_all(const ContainerHeader& header, Plan* plan) {
  PlanReader(plan).read(header);
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
}

}  // namespace

std::shared_ptr<const Plan> read_plan(FileBytes bytes, ThreadPool* pool) {
  struct Work {
    std::shared_ptr<Plan> plan = std::make_shared<Plan>();
    ContainerHeader header;
    uint64_t checksum = 0;
    std::exception_ptr failure;
  } work;
  work.plan->bytes = align_bytes(std::move(bytes));
  work.header = read_header(work.plan->bytes);
  const auto compute = [](void* arg, int32_t task) {
    Work& all = *static_cast<Work*>(arg);
    if (task == 1) {
      all.checksum = checksum_of(all.plan->bytes, all.header);
      return;
    }
    try {
      read_all(all.header, all.plan.get());
    } catch (...) {
      all.failure = std::current_exception();
    }
  };
  pool->run(2, compute, &work);
  if (const std::string found = hex_digits(work.checksum); found != work.header.checksum)
    throw status::plan_corrupt("checksum", found + ", by its contents", work.header.checksum);
  if (work.failure) std::rethrow_exception(work.failure);
  return work.plan;
}

void bound_sizes(const Plan& plan, int n_known, Leaves* leaves, ProgramResults* results) {
  resize(plan, results);
  walk_sizes(
      plan, static_cast<size_t>(n_known), [&](size_t program) { evaluate_one(plan, program, *leaves, results); },
      [&](size_t size, size_t upper) {
        const bool is_known = results->troubles[upper] == DimsTrouble::kNone;
        leaves->sizes[size] = is_known ? std::max<int64_t>(results->values[upper], 0) : 0;
      });
}

void evaluate_programs(const Plan& plan, const Leaves& leaves, ProgramResults* results) {
  resize(plan, results);
  for (size_t i = 0; i < plan.programs.size(); ++i) evaluate_one(plan, i, leaves, results);
}

std::vector<Interval> bound_programs(const Plan& plan, const Leaves& low, Leaves* high) {
  std::vector<Interval> bounds(plan.programs.size());
  const auto bound = [&](size_t program) { bounds[program] = bounds_of(plan.programs[program], low, *high, bounds); };
  walk_sizes(plan, 0, bound,
             [&](size_t size, size_t upper) { high->sizes[size] = std::max<int64_t>(bounds[upper].high, 0); });
  for (size_t i = 0; i < plan.programs.size(); ++i) bound(i);
  return bounds;
}

void evaluate_shapes(const Plan& plan, const PlanProfile& profile, const Leaves& leaves, int n_known,
                     PlanShapes* shapes) {
  shapes->dims.resize(plan.tensors.size());
  shapes->bytes.resize(plan.tensors.size());
  evaluate_programs(plan, leaves, &shapes->programs);
  for (size_t t = 0; t < plan.tensors.size(); ++t) {
    const PlanTensor& tensor = plan.tensors[t];
    for (int axis = 0; axis < tensor.rank; ++axis) {
      const Extent& extent = tensor.dims[axis];
      int64_t& value = shapes->dims[t][static_cast<size_t>(axis)];
      value = extent.value;
      if (extent.program < 0) continue;
      const auto program = static_cast<size_t>(extent.program);
      value = shapes->programs.values[program];
      const std::string problem = problem_of(shapes->programs.troubles[program], value);
      if (problem.empty()) continue;
      if (plan.needed_sizes[program] <= n_known)
        throw status::extent_invalid(tensor.name, tensor.dim_name(axis), plan.text_of(extent), problem,
                                     plan.inputs_text(leaves));
      value = 0;
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
    if (!tensor_bytes(dims.data(), tensor.rank, tensor.data_type, tensor.format, &shapes->bytes[t]))
      throw status::tensor_outgrows_arena(tensor.name, kMaxBytes, 0, profile.arena(tensor.device).bytes);
  }
  for (size_t t = 0; t < plan.tensors.size(); ++t) {
    const uint64_t room = room_of(plan.tensors[t], t, profile, *shapes);
    if (shapes->bytes[t] > room)
      throw status::tensor_outgrows_arena(plan.tensors[t].name, shapes->bytes[t],
                                          profile.offsets[t] < 0 ? 0 : static_cast<uint64_t>(profile.offsets[t]), room);
  }
  OverlapCheck overlaps(plan, profile, *shapes);
  for (size_t i = 0; i < plan.steps.size(); ++i) overlaps.check(i);
}

void check_constraints(const Plan& plan, const Leaves& leaves, int n_known, const PlanShapes& shapes) {
  for (const PlanConstraint& constraint : plan.constraints) {
    const auto program = static_cast<size_t>(constraint.program);
    if (plan.needed_sizes[program] > n_known) continue;
    const DimsTrouble trouble = shapes.programs.troubles[program];
    if (trouble == DimsTrouble::kNone && shapes.programs.values[program] != 0) continue;
    const std::string rule = plan.text_of({-1, constraint.program});
    throw status::constraint_broken(plan.name,
                                    trouble != DimsTrouble::kNone ? rule + " " + problem_of(trouble, 0)
                                    : constraint.text.empty()     ? rule
                                                                  : constraint.text,
                                    plan.inputs_text(leaves));
  }
}

}  // namespace dovetail
