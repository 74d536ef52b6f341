// SPDX-License-Identifier: Apache-2.0
// Steps that own blocks, as a plan has them: what they must say, and where tensors may be taken.
#include <algorithm>
#include <string>

#include "runtime/layout.hpp"
#include "runtime/plan_reader.hpp"

namespace dovetail {
namespace {

constexpr int32_t kMaxBlockDepth = 8;
constexpr int kMaxPartDepth = 64;  // of concatenations of concatenations

const PlanTensor& tensor_of(const Plan& plan, int32_t index) { return plan.tensors[static_cast<size_t>(index)]; }

bool is_one_number(const PlanTensor& tensor, bool may_be_a_flag) {
  const bool is_type = tensor.data_type == DT_TYPE_INT32 || tensor.data_type == DT_TYPE_INT64 ||
                       (may_be_a_flag && (tensor.data_type == DT_TYPE_BOOL || tensor.data_type == DT_TYPE_UINT8 ||
                                          tensor.data_type == DT_TYPE_INT8));
  for (int axis = 0; axis < tensor.rank; ++axis)
    if (tensor.dims[axis].value != 1) return false;
  return is_type && tensor.format == DT_FORMAT_LINEAR;
}

std::string described(const PlanTensor& tensor) {
  int64_t dims[DT_MAX_RANK];
  for (int axis = 0; axis < tensor.rank; ++axis) dims[axis] = tensor.dims[axis].value;
  return "'" + tensor.name + "', " + tensor_text(tensor.data_type, tensor.format, dims, tensor.rank) +
         (tensor.device == DT_DEVICE_CPU ? "" : " on the device");
}

// Walks the steps as they run. A tensor holds data when a step has written it, until the block of that step ends.
class OrderCheck {
 public:
  OrderCheck(const Plan& plan, const std::vector<JsonValue>& steps, const std::vector<JsonValue>& blocks)
      : plan_(plan),
        steps_(steps),
        blocks_(blocks),
        states_(plan.tensors.size()),
        writers_(plan.tensors.size(), -1),
        is_filled_(plan.tensors.size()) {}

  void walk(int32_t index) {
    const PlanBlock& block = plan_.blocks[static_cast<size_t>(index)];
    const size_t begin = changed_.size();
    for (size_t k = 0; k < block.inputs.size(); ++k)
      write(block.inputs[k], index, blocks_[static_cast<size_t>(index)].at("inputs").at(k));
    for (int32_t step : block.steps) walk_step(static_cast<size_t>(step), index);
    const bool is_main = block.owner < 0;
    for (size_t k = 0; k < block.outputs.size(); ++k)
      if (writers_[static_cast<size_t>(block.outputs[k])] != index)
        blocks_[static_cast<size_t>(index)].at("outputs").at(k).fail("a tensor that a step of this block writes");
    for (; !is_main && changed_.size() > begin; changed_.pop_back()) {
      State& state = states_[changed_.back()];
      if (state != State::kGone) state = state == State::kWritten ? State::kGone : State::kNothing;
    }
  }

  bool is_filled(int32_t tensor) const { return is_filled_[static_cast<size_t>(tensor)]; }

 private:
  enum class State : char {
    kNothing,
    kWritten,
    kReady,  // its memory holds data, because a tensor that it is an alias of does
    kGone    // the block in which it was written has ended
  };

  void walk_step(size_t number, int32_t block) {
    const PlanStep& step = plan_.steps[number];
    for (size_t k = 0; k < step.inputs.size(); ++k)
      if (step.inputs[k] >= 0 && !is_ready(step.inputs[k]))
        steps_[number].at("inputs").at(k).fail("a tensor that an earlier step has written" + where(step.inputs[k]));
    for (int32_t own : step.blocks) walk(own);
    for (size_t k = 0; k < step.outputs.size(); ++k) write(step.outputs[k], block, steps_[number].at("outputs").at(k));
  }

  // What the text of a refusal adds for a tensor of a block that has ended.
  std::string where(int32_t tensor) const {
    const State state = states_[static_cast<size_t>(tensor)];
    return state == State::kGone ? ", in its own block or one around it" : "";
  }

  void write(int32_t tensor, int32_t block, const JsonValue& entry) {
    const auto index = static_cast<size_t>(tensor);
    const Where root = tensor_of(plan_, plan_.tensors[index].root).where;
    if (root != Where::kArena && root != Where::kOutput) entry.fail("a tensor in the arena or of an output");
    if (states_[index] == State::kWritten || states_[index] == State::kGone)
      entry.fail("a tensor that no other step writes");
    states_[index] = State::kWritten;
    writers_[index] = block;
    changed_.push_back(index);
    is_filled_[static_cast<size_t>(plan_.tensors[index].root)] = 1;
  }

  // Once ready, always ready: each link of a chain of aliases is walked once.
  bool is_ready(int32_t first) {
    auto at = static_cast<size_t>(first);
    const auto holds_data = [&](size_t t) {
      const Where where = plan_.tensors[t].where;
      return where == Where::kInput || where == Where::kConstant || states_[t] == State::kWritten ||
             states_[t] == State::kReady;
    };
    const size_t begin = changed_.size();
    while (!holds_data(at)) {
      if (are_made(at, 0)) {
        changed_.push_back(at);
        break;
      }
      if (plan_.tensors[at].where != Where::kAlias || states_[at] == State::kGone) {
        changed_.resize(begin);
        return false;
      }
      changed_.push_back(at);
      at = static_cast<size_t>(plan_.tensors[at].alias_of);
    }
    for (size_t k = begin; k < changed_.size(); ++k) states_[changed_[k]] = State::kReady;
    return true;
  }

  // True if steps have written all parts of a tensor, which are deeper in the tree of aliases than it is.
  bool are_made(size_t t, int depth) const {
    const std::vector<int32_t>& parts = plan_.tensors[t].parts;
    return !parts.empty() && depth < kMaxPartDepth &&
           std::all_of(
               parts.begin(), parts.end(),
               [&](int32_t part) {
                 const auto at = static_cast<size_t>(part);
                 return states_[at] == State::kWritten || are_made(at, depth + 1);
               });
  }

  const Plan& plan_;
  const std::vector<JsonValue>&steps_, &blocks_;
  std::vector<State> states_;
  std::vector<int32_t> writers_;  // the block in which it was written
  std::vector<char> is_filled_;
  std::vector<size_t> changed_;  // tensors in the order in which they came to hold data, perhaps twice
};

}  // namespace

PlanStep PlanReader::read_control(const JsonValue& entry) const {
  PlanStep step;
  const std::string& kind = entry.at("control").text();
  if (kind == "conditional")
    step.control = Control::kConditional;
  else if (kind == "loop")
    step.control = Control::kLoop;
  else
    entry.at("control").fail("conditional or loop");
  step.layer = entry.at("layer").text();
  if (entry.has("op")) step.op = entry.at("op").text();
  read_ports(entry, &step);
  if (entry.has("iterations")) step.n_iterations = entry.at("iterations").integer(0);
  return step;
}

void PlanReader::read_blocks(const JsonValue& list, int32_t step) {
  const PlanStep& owner = plan_.steps[static_cast<size_t>(step)];
  const size_t wanted = owner.control == Control::kConditional ? 2 : 1;
  if (list.size() != wanted) list.fail(std::to_string(wanted) + (wanted > 1 ? " blocks" : " block"));
  const int32_t depth = plan_.blocks[static_cast<size_t>(owner.block)].depth + 1;
  if (depth > kMaxBlockDepth) list.fail("no more than " + std::to_string(kMaxBlockDepth) + " blocks in each other");
  for (size_t i = 0; i < list.size(); ++i) {
    const JsonValue entry = list.at(i), inputs = entry.at("inputs"), outputs = entry.at("outputs");
    PlanBlock block;
    block.owner = step;
    block.depth = depth;
    for (size_t t = 0; t < inputs.size(); ++t) block.inputs.push_back(inputs.at(t).index(plan_.tensors.size()));
    for (size_t t = 0; t < outputs.size(); ++t) block.outputs.push_back(outputs.at(t).index(plan_.tensors.size()));
    const auto index = static_cast<int32_t>(plan_.blocks.size());
    plan_.steps[static_cast<size_t>(step)].blocks.push_back(index);
    plan_.blocks.push_back(std::move(block));
    blocks_.resize(plan_.blocks.size(), entry);
    read_steps(entry.at("steps"), index);
  }
}

void PlanReader::check_controls() {
  for (size_t i = 0; i < plan_.steps.size(); ++i) {
    if (plan_.steps[i].control == Control::kConditional) check_conditional(i);
    if (plan_.steps[i].control == Control::kLoop) check_loop(i);
  }
}

// Of one type, format and device, with the same extents whatever the inputs are.
void PlanReader::check_alike(const JsonValue& entry, int32_t tensor, int32_t other) const {
  const PlanTensor &a = tensor_of(plan_, tensor), &b = tensor_of(plan_, other);
  bool is_alike = a.data_type == b.data_type && a.format == b.format && a.device == b.device && a.rank == b.rank;
  for (int axis = 0; is_alike && axis < a.rank; ++axis)
    is_alike = a.dims[axis].value == b.dims[axis].value && a.dims[axis].program == b.dims[axis].program &&
               (a.dims[axis].value >= 0 || a.dims[axis].program >= 0);
  if (!is_alike) entry.fail("a tensor with the type, format, device and extents of " + described(b), described(a));
}

// Each branch writes into the memory of the step's outputs, so nothing has to be copied.
void PlanReader::check_conditional(size_t number) {
  const PlanStep& step = plan_.steps[number];
  const JsonValue& entry = steps_[number];
  if (step.inputs.size() != 1 || step.inputs[0] < 0 || !is_one_number(tensor_of(plan_, step.inputs[0]), true))
    entry.at("inputs").fail("the condition: one bool, uint8, int8, int32 or int64, row by row");
  for (int32_t index : step.blocks) {
    const PlanBlock& block = plan_.blocks[static_cast<size_t>(index)];
    const JsonValue inputs = blocks_[static_cast<size_t>(index)].at("inputs"),
                    outputs = blocks_[static_cast<size_t>(index)].at("outputs");
    if (!block.inputs.empty()) inputs.fail("none, for the block of a conditional takes what is around it");
    if (block.outputs.size() != step.outputs.size()) outputs.fail("a list of " + std::to_string(step.outputs.size()));
    for (size_t k = 0; k < block.outputs.size(); ++k) {
      check_alike(outputs.at(k), block.outputs[k], step.outputs[k]);
      if (block.outputs[k] == step.outputs[k] ||
          tensor_of(plan_, block.outputs[k]).root != tensor_of(plan_, step.outputs[k]).root)
        outputs.at(k).fail("an alias of '" + tensor_of(plan_, step.outputs[k]).name + "'");
    }
  }
}

// What is carried has two memories, which an iteration reads and writes, and which change places behind it.
void PlanReader::check_loop(size_t number) {
  const PlanStep& step = plan_.steps[number];
  const JsonValue &entry = steps_[number], &body = blocks_[static_cast<size_t>(step.blocks[0])];
  const PlanBlock& block = plan_.blocks[static_cast<size_t>(step.blocks[0])];
  const size_t n = step.outputs.size();
  if (n == 0) entry.at("outputs").fail("one tensor or more, as the last iteration leaves them");
  if (step.inputs.size() != n + 1) entry.at("inputs").fail("a list of " + std::to_string(n + 1));
  if (block.inputs.size() != n) body.at("inputs").fail("a list of " + std::to_string(n));
  if (block.outputs.size() != n) body.at("outputs").fail("a list of " + std::to_string(n));
  const bool is_counted = step.inputs[0] >= 0;
  if (is_counted == (step.n_iterations >= 0))
    entry.fail("either 'iterations' or a tensor as the first input that says how many",
               is_counted ? "both of them" : "none of them");
  if (is_counted && !is_one_number(tensor_of(plan_, step.inputs[0]), false))
    entry.at("inputs").at(size_t{0}).fail("one int32 or int64, row by row");
  for (size_t k = 0; k < n; ++k) {
    const int32_t initial = step.inputs[k + 1], before = block.inputs[k], after = block.outputs[k];
    if (initial < 0) entry.at("inputs").at(k + 1).fail("a tensor");
    check_alike(entry.at("inputs").at(k + 1), initial, step.outputs[k]);
    check_alike(body.at("inputs").at(k), before, step.outputs[k]);
    check_alike(body.at("outputs").at(k), after, step.outputs[k]);
    const auto claim = [&](const JsonValue& at, int32_t tensor, int32_t partner) {
      PlanTensor& claimed = plan_.tensors[static_cast<size_t>(tensor)];
      if (claimed.where != Where::kArena) at.fail("a tensor in the arena");
      if (claimed.partner >= 0 || tensor == partner) at.fail("a tensor that is carried once");
      claimed.partner = partner;
    };
    claim(body.at("inputs").at(k), before, after);
    claim(body.at("outputs").at(k), after, before);
  }
}

void PlanReader::check_order(const JsonValue& steps) const {
  OrderCheck check(plan_, steps_, blocks_);
  check.walk(0);
  for (int32_t output : plan_.outputs)
    if (!check.is_filled(output))
      steps.fail("a step that writes output '" + tensor_of(plan_, output).name + "'", "none");
}

}  // namespace dovetail
