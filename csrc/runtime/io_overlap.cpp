// SPDX-License-Identifier: Apache-2.0
#include "runtime/io_overlap.hpp"

#include <algorithm>
#include <limits>

namespace dovetail {

IoOverlap::IoOverlap(const Engine& engine) : engine_(engine) {
  const Plan& plan = engine.plan();
  std::vector<int32_t> io_of(plan.tensors.size(), -1);
  for (size_t io = 0; io < plan.n_io(); ++io) io_of[static_cast<size_t>(plan.io_tensor(io))] = static_cast<int32_t>(io);
  const auto memory_of = [&](int32_t t) {
    return t < 0 ? -1 : io_of[static_cast<size_t>(plan.tensors[static_cast<size_t>(t)].root)];
  };
  last_read_.assign(plan.n_io(), -1);
  first_write_.assign(plan.n_io(), std::numeric_limits<int32_t>::max());
  for (size_t i = 0; i < plan.steps.size(); ++i) {
    const int32_t step = plan.steps[i].outer;  // whose blocks may run again, or another of them
    for (int32_t t : plan.steps[i].inputs)
      if (const int32_t io = memory_of(t); io >= 0) last_read_[static_cast<size_t>(io)] = step;
    for (int32_t t : plan.steps[i].outputs)
      if (const int32_t io = memory_of(t); io >= 0) {
        int32_t& first = first_write_[static_cast<size_t>(io)];
        first = std::min(first, step);
      }
  }
}

IoOverlap::Range IoOverlap::range_of(size_t io, const void* address, uint64_t bytes) {
  const auto begin = reinterpret_cast<uintptr_t>(address);
  return {begin, bytes > UINTPTR_MAX - begin ? UINTPTR_MAX : begin + bytes, io};
}

void IoOverlap::begin(const void* memory, uint64_t bytes) {
  inputs_.clear();
  outputs_.clear();
  memory_ = range_of(0, memory, memory ? bytes : 0);
}

void IoOverlap::add(size_t io, const void* address, uint64_t bytes) {
  const Range range = range_of(io, address, bytes);
  if (range.begin < memory_.end && memory_.begin < range.end)
    throw status::io_in_memory(engine_.plan().tensors[static_cast<size_t>(engine_.plan().io_tensor(io))].name,
                               {range.begin, range.end}, {memory_.begin, memory_.end});
  (io < engine_.plan().inputs.size() ? inputs_ : outputs_).push_back(range);
}

void IoOverlap::check() {
  const Plan& plan = engine_.plan();
  const auto name = [&](const Range& range) {
    return plan.tensors[static_cast<size_t>(plan.io_tensor(range.io))].name;
  };
  const auto extent = [](const Range& range) { return status::Extent{range.begin, range.end}; };
  std::sort(outputs_.begin(), outputs_.end(), [](const Range& a, const Range& b) { return a.begin < b.begin; });
  for (size_t k = 1; k < outputs_.size(); ++k) {
    const Range &a = outputs_[k - 1], &b = outputs_[k];
    if (b.begin < a.end) throw status::outputs_overlap(name(a), extent(a), name(b), extent(b));
  }
  for (const Range& input : inputs_) {
    auto at = std::lower_bound(outputs_.begin(), outputs_.end(), input.end,
                               [](const Range& output, uintptr_t end) { return output.begin < end; });
    for (; at != outputs_.begin() && input.begin < (at - 1)->end; --at)
      if (!may_share(input, *(at - 1)))
        throw status::output_over_input(name(*(at - 1)), extent(*(at - 1)), name(input), extent(input));
  }
}

// Every step that reads the input comes before the step that writes the output; or the writer is the last reader and
// may write its first output over its first input (DT_TRAIT_IN_PLACE).
bool IoOverlap::may_share(const Range& input, const Range& output) const {
  const int32_t read = last_read_[input.io], write = first_write_[output.io];
  if (read != write) return read < write;
  const Plan& plan = engine_.plan();
  const PlanStep& step = plan.steps[static_cast<size_t>(write)];
  if (step.is_control()) return false;
  const BoundImplementation& bound = engine_.steps()[static_cast<size_t>(write)].bound;
  const uint32_t traits = bound.implementation->traits | (bound.row ? bound.row->traits : 0);
  if (!(traits & DT_TRAIT_IN_PLACE) || input.begin != output.begin || input.end != output.end) return false;
  const auto root = [&](int32_t t) { return t < 0 ? -1 : plan.tensors[static_cast<size_t>(t)].root; };
  const int32_t from = plan.io_tensor(input.io), to = plan.io_tensor(output.io);
  const bool reads_once =
      std::count_if(step.inputs.begin(), step.inputs.end(), [&](int32_t t) { return root(t) == from; }) == 1;
  const bool writes_once =
      std::count_if(step.outputs.begin(), step.outputs.end(), [&](int32_t t) { return root(t) == to; }) == 1;
  if (!reads_once || !writes_once || root(step.inputs[0]) != from || root(step.outputs[0]) != to) return false;
  const auto at = [&](int32_t t) { return plan.tensors[static_cast<size_t>(t)].root_at; };
  return at(step.inputs[0]) == at(step.outputs[0]);
}

}  // namespace dovetail
