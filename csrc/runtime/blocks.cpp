// SPDX-License-Identifier: Apache-2.0
// Steps that own blocks: which block runs, how often, and where what a loop carries lies.
#include <algorithm>
#include <cstring>
#include <utility>

#include "runtime/context.hpp"
#include "runtime/layout.hpp"

namespace dovetail {
namespace {

constexpr uint64_t kNumberRoom = 64;  // bytes for one number in pinned memory

int64_t number_at(const void* data, int32_t type) {
  const auto as = [data](auto value) {
    std::memcpy(&value, data, sizeof value);
    return static_cast<int64_t>(value);
  };
  switch (type) {
    case DT_TYPE_INT64:
      return as(int64_t{});
    case DT_TYPE_INT32:
      return as(int32_t{});
    case DT_TYPE_INT8:
      return as(int8_t{});
    default:
      return as(uint8_t{});
  }
}

}  // namespace

void Context::make_controls() {
  const Plan& plan = engine_->plan();
  const auto root_of = [&plan](int32_t t) { return plan.tensors[static_cast<size_t>(t)].root; };
  std::vector<std::vector<int32_t>> in_memory_of(plan.tensors.size());  // of what loops carry
  for (size_t t = 0; t < plan.tensors.size(); ++t) {
    const auto root = static_cast<size_t>(plan.tensors[t].root);
    if (plan.tensors[root].partner >= 0) in_memory_of[root].push_back(static_cast<int32_t>(t));
  }
  for (size_t i = 0; i < plan.steps.size(); ++i) {
    const PlanStep& step = plan.steps[i];
    if (!step.is_control()) continue;
    ControlState& control = controls_.emplace_back();
    control.context = this;
    control.step = static_cast<int32_t>(i);
    if (step.control != Control::kLoop) continue;
    const PlanBlock& body = plan.blocks[static_cast<size_t>(step.blocks[0])];
    for (size_t k = 0; k < step.outputs.size(); ++k) {
      const int32_t before = body.inputs[k], after = body.outputs[k];
      control.carried.push_back({step.inputs[k + 1], before, after, step.outputs[k],
                                 in_memory_of[static_cast<size_t>(before)], in_memory_of[static_cast<size_t>(after)]});
    }
  }
  const Device& device = engine_->device();
  if (device.is_cpu() || controls_.empty()) return;
  // The host needs the numbers that decide. Each is copied behind the step that writes it, and waited for where it is
  // needed: later work stays on its way meanwhile.
  numbers_ = PinnedMemory(device, kNumberRoom * controls_.size(), "the conditions of a context");
  fetches_.resize(plan.steps.size());
  for (size_t c = 0; c < controls_.size(); ++c) {
    ControlState& control = controls_[c];
    const int32_t number = plan.steps[static_cast<size_t>(control.step)].inputs[0];
    if (number < 0) continue;
    std::vector<size_t> writers;
    const PlanTensor& root = plan.tensors[static_cast<size_t>(root_of(number))];
    bool is_copied_by_loop = root.partner >= 0, is_left_by_device = root.device != DT_DEVICE_CPU;
    for (size_t i = 0; i < plan.steps.size(); ++i)
      for (int32_t t : plan.steps[i].outputs) {
        // What a step writes into the partner is the number when both have changed places.
        if (root_of(t) != root_of(number) && root_of(t) != root.partner) continue;
        is_copied_by_loop |= plan.steps[i].control == Control::kLoop;
        is_left_by_device |= plan.steps[i].device != DT_DEVICE_CPU;
        if (!plan.steps[i].is_control()) writers.push_back(i);
      }
    if (!is_left_by_device) continue;
    control.is_there = std::make_unique<DeviceEvent>(device, false);
    if (root.device != DT_DEVICE_CPU) control.number = numbers_.data() + c * kNumberRoom;
    control.is_fetched_early = !is_copied_by_loop;
    if (is_copied_by_loop) continue;
    if (writers.empty()) fetched_first_.push_back(&control);
    for (size_t writer : writers) fetches_[writer].push_back(&control);
  }
}

// The first step that makes the host wait, for its number or to copy what a loop carries on the host: it cannot be
// captured. -1: none.
int32_t Context::first_waiting_control() const {
  const Plan& plan = engine_->plan();
  const auto is_on_host = [&plan](const ControlState::Carried& carried) {
    return plan.tensors[static_cast<size_t>(carried.result)].device == DT_DEVICE_CPU;
  };
  for (const ControlState& control : controls_)
    if (plan.steps[static_cast<size_t>(control.step)].inputs[0] >= 0 ||
        std::any_of(control.carried.begin(), control.carried.end(), is_on_host))
      return control.step;
  return -1;
}

dt_code Context::enqueue_control(void* control, const dt_run*) {
  auto* const state = static_cast<ControlState*>(control);
  Context& context = *state->context;
  const PlanStep& step = context.engine_->plan().steps[static_cast<size_t>(state->step)];
  if (step.control == Control::kLoop)
    context.run_loop(state);
  else
    context.run_block(static_cast<size_t>(step.blocks[context.number_of(state) != 0 ? 0 : 1]));
  return DT_OK;
}

void Context::run_loop(ControlState* control) {
  const PlanStep& step = engine_->plan().steps[static_cast<size_t>(control->step)];
  const auto body = static_cast<size_t>(step.blocks[0]);
  const int64_t n = step.inputs[0] < 0 ? step.n_iterations : number_of(control);
  if (n <= 0) {
    for (const ControlState::Carried& carried : control->carried) copy_tensor(carried.result, carried.initial);
    return;
  }
  for (const ControlState::Carried& carried : control->carried) copy_tensor(carried.before, carried.initial);
  Interruptible work;
  for (int64_t left = n;;) {
    run_block(body);
    call_.allocations.clear();
    work.poll();
    if (--left == 0) break;
    for (const ControlState::Carried& carried : control->carried) change_places(carried);
  }
  for (const ControlState::Carried& carried : control->carried) copy_tensor(carried.result, carried.after);
}

void Context::change_places(const ControlState::Carried& carried) {
  const auto before = static_cast<size_t>(carried.before), after = static_cast<size_t>(carried.after);
  std::swap(homes_[before], homes_[after]);
  void* const one = views_[before].data;
  void* const other = views_[after].data;
  for (int32_t t : carried.before_views) views_[static_cast<size_t>(t)].data = other;
  for (int32_t t : carried.after_views) views_[static_cast<size_t>(t)].data = one;
}

void Context::copy_tensor(int32_t to, int32_t from) {
  const auto target = static_cast<size_t>(to), source = static_cast<size_t>(from);
  const uint64_t bytes = shapes_.bytes[target];
  if (bytes == 0) return;
  if (engine_->plan().tensors[target].device != DT_DEVICE_CPU) {
    engine_->device().copy(views_[target].data, views_[source].data, bytes, stream_.handle);
    if (around_) around_->is_pending = true;
    return;
  }
  if (around_ && around_->is_pending) {
    wait_for_stream();
    around_->is_pending = false;
  }
  std::memcpy(views_[target].data, views_[source].data, bytes);
}

int64_t Context::number_of(ControlState* control) {
  const Plan& plan = engine_->plan();
  const auto t = static_cast<size_t>(plan.steps[static_cast<size_t>(control->step)].inputs[0]);
  if (control->is_there) {
    if (!control->is_fetched_early) fetch_number(control);
    engine_->device().wait_for_event(control->is_there->handle());
  }
  return number_at(control->number ? control->number : views_[t].data, plan.tensors[t].data_type);
}

// On its way behind what is on the stream now.
void Context::fetch_number(ControlState* control) {
  const Plan& plan = engine_->plan();
  const auto t = static_cast<size_t>(plan.steps[static_cast<size_t>(control->step)].inputs[0]);
  const Device& device = engine_->device();
  if (control->number) device.copy(control->number, views_[t].data, shapes_.bytes[t], stream_.handle);
  device.record(control->is_there->handle(), stream_.handle);
}

}  // namespace dovetail
