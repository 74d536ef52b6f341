// SPDX-License-Identifier: Apache-2.0
// Executions of a context.
#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <utility>

#include "runtime/context.hpp"
#include "runtime/interrupt.hpp"
#include "runtime/layout.hpp"

namespace dovetail {

// To the steps from `first` on that come before the next size is known, and to the one that tells it.
void Context::tell_shapes(size_t first) {
  const FloatMode mode;
  const std::vector<PlanSize>& sizes = engine_->plan().sizes;
  const auto known = static_cast<size_t>(n_known_);
  const std::vector<PlanStep>& steps = engine_->plan().steps;
  const size_t end =
      known < sizes.size() ? static_cast<size_t>(steps[static_cast<size_t>(sizes[known].step)].end) : steps.size();
  for (size_t i = first; i < end; ++i) {
    if (is_told_[i] || steps[i].is_control()) continue;
    if (const std::string reason = engine_->refusal(i, shapes_.dims); !reason.empty())
      throw status::extents_refused(engine_->plan().steps[i].layer, engine_->plan().steps[i].implementation, reason);
    const char* method = "";
    const dt_code code = engine_->steps()[i].bound.shape_changed(layers_[i]->get(), runs_[i], &method);
    if (code != DT_OK) fail(i, code, method);
    is_told_[i] = 1;
  }
}

void Context::make_ready() {
  std::fill(is_io_ready_.begin(), is_io_ready_.end(), 0);
  if (is_settled_)
    check_addresses();
  else
    settle();
  is_ready_ = true;
}

void Context::settle() {
  const std::vector<std::string> missing = missing_shapes();
  if (!missing.empty()) throw status::shapes_unknown(missing);
  if (!memory_) {
    if (memory_bytes() > 0) throw status::memory_missing(memory_bytes());
    memory_ = nothing;
    place_memory();
  }
  prepare_io();
  tell_shapes(0);
  is_settled_ = true;
}
void Context::execute(const dt_stream& stream) {
  const bool is_cpu = engine_->device().is_cpu();
  if (stream.kind != (is_cpu ? 0 : 1)) throw status::stream_kind(stream.kind, engine_->device().type());
  if (is_cpu) {
    const InUse in_use(this, Use::kChange);
    stream_ = stream;
    execute();
    return;
  }
  const InUse in_use(this, Use::kRun);
  const FloatMode mode;
  enqueue_all(stream.handle);
}

void Context::execute_and_wait() {
  if (is_plain_) {
    execute_carefully();
    return;
  }
  enqueue_all(nullptr);
  wait_for_stream();
}

// The launches of a plain plan, with a look at the clock and at the float mode behind each. The first execution with
// these extents, and each one that takes long; the others could not even afford the look.
void Context::execute_carefully() {
  if (!is_ready_) make_ready();
  Around around;
  run_around(0, &around);
  call_.allocations.clear();
  is_careful_ = around.changes_mode || around.work.is_long();
}

// A block of the present execution. What was done since the last step, to decide or to copy, is its owner's.
void Context::run_block(size_t block) {
  if (!around_) {
    run_quickly(block);
    return;
  }
  if (around_->after_step) around_->after_step(static_cast<size_t>(engine_->plan().blocks[block].owner));
  run_around(block, around_);
}

void Context::run_around(size_t block, Around* around) {
  struct Set {
    Set(Around** at, Around* value) : at(*at), before(*at) { *at = value; }
    ~Set() { at = before; }
    Around*& at;
    Around* const before;
  } const set(&around_, around);
  const Device& device = engine_->device();
  for (size_t at = first_launches_[block]; at < first_launches_[block + 1]; ++at) {
    const Launch& launch = launches_[at];
    const size_t i = launched_steps_[at];
    const PlanStep& step = engine_->plan().steps[i];
    const bool on_device = !device.is_cpu() && step.device != DT_DEVICE_CPU;
    if (!step.is_control()) {
      if (!on_device && around->is_pending) wait_for_stream();
      around->is_pending = on_device;
    }
    dt_code code = launch.enqueue(launch.context, launch.run);
    if (code == DT_OK && around->waits && on_device) code = device.api()->wait_for_stream(&call_, around->stream);
    if (code != DT_OK) fail(i, code, "enqueue");
    around->changes_mode |= around->mode.restore();
    if (!fetches_.empty())
      for (ControlState* control : fetches_[i]) fetch_number(control);
    if (block == 0) {
      learn_sizes(i);
      if (consumed_event_ && static_cast<int32_t>(i) == last_reading_step_)
        device.record(consumed_event_, around->stream);
    }
    if (around->after_step) around->after_step(i);
    around->work.poll();
  }
}

void Context::wait_for_stream() {
  if (!engine_->device().is_cpu()) engine_->device().wait(stream_.handle);
}

// after_step(i) is called when step i was enqueued, each time; of a step that owns blocks in front of each of them, too.
void Context::enqueue_all(void* stream, std::function<void(size_t)> after_step) {
  const Device& device = engine_->device();
  const DeviceScope scope(device);
  const Plan& plan = engine_->plan();
  if (!plan.sizes.empty()) forget_sizes();
  if (std::any_of(allocators_.begin(), allocators_.end(), [](const OutputAllocator& a) { return !!a.allocate; }))
    is_ready_ = is_settled_ = false;
  read_contents();
  if (!is_ready_) make_ready();
  is_ready_ = plan.sizes.empty();  // unless it comes to its end
  stream_.handle = stream;
  const int32_t waiting_step = !plan.sizes.empty()    ? plan.sizes[0].step
                               : first_cpu_step_ >= 0 ? first_cpu_step_
                                                      : first_waiting_control();
  const bool is_special = !device.is_cpu() && (is_debug_sync_ || waiting_step >= 0);
  const bool is_captured = is_special && device.is_capturing(stream);
  if (is_captured && waiting_step >= 0) {
    const PlanStep& step = plan.steps[static_cast<size_t>(waiting_step)];
    throw step.is_control() ? status::capture_undecided(step.layer) : status::capture_impossible(step.layer);
  }
  if (consumed_event_ && last_reading_step_ < 0) device.record(consumed_event_, stream);
  Around around;
  around.stream = stream;
  around.waits = is_debug_sync_ && !is_captured && !device.is_cpu();
  around.after_step = std::move(after_step);
  for (ControlState* control : fetched_first_) fetch_number(control);
  run_around(0, &around);
  call_.allocations.clear();
}

void Context::set_input_consumed_event(void* event) {
  const InUse in_use(this, Use::kChange);
  if (engine_->device().is_cpu() && event) throw status::stream_kind(1, DT_DEVICE_CPU);
  consumed_event_ = event;
}

std::vector<uint64_t> Context::execute_profiled(void* stream) {
  using Clock = std::chrono::steady_clock;
  const InUse in_use(this, Use::kRun);
  const FloatMode mode;
  if (!engine_->device().is_cpu()) return execute_timed(stream);
  std::vector<uint64_t> times(launches_.size());  // of steps in a block that runs again: together
  if (is_plain_ && !is_ready_) make_ready();      // no part of the first step
  Clock::time_point before = Clock::now();
  enqueue_all(nullptr, [&](size_t i) {
    const Clock::time_point after = Clock::now();
    times[i] += static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(after - before).count());
    before = after;
  });
  return times;
}

// Between events of the stream, which are looked at when there are many, as in a loop, and at the end.
std::vector<uint64_t> Context::execute_timed(void* stream) {
  constexpr size_t kMostEvents = 4096;
  const Device& device = engine_->device();
  const DeviceScope scope(device);
  std::vector<uint64_t> times(launches_.size());
  std::vector<DeviceEvent> events;
  std::vector<size_t> steps;  // each between two events
  const auto record = [&] {
    events.emplace_back(device, true);
    device.record(events.back().handle(), stream);
  };
  const auto look = [&] {
    wait_for_stream();
    for (size_t k = 0; k < steps.size(); ++k)
      times[steps[k]] += static_cast<uint64_t>(1e6 * device.elapsed_ms(events[k].handle(), events[k + 1].handle()));
    steps.clear();
    events.clear();
  };
  record();
  enqueue_all(stream, [&](size_t i) {
    record();
    steps.push_back(i);
    if (steps.size() < kMostEvents) return;
    look();
    record();
  });
  look();
  return times;
}

void Context::fail(size_t step, dt_code code, const char* method) {
  const Plan& plan = engine_->plan();
  const PlanStep& failed = plan.steps[step];
  const BoundImplementation& bound = engine_->steps()[step].bound;
  const Call raised = std::exchange(call_, Call{});
  call_.owners = this;
  try {
    raised.check(code, failed.implementation, bound.method(method), failed.layer);
  } catch (Failure& failure) {
    const auto add = [&](const char* role, int32_t t) {
      if (t < 0) return;
      const PlanTensor& tensor = plan.tensors[static_cast<size_t>(t)];
      failure.facts.emplace_back(
          std::string(role) + " '" + tensor.name + "'",
          tensor_text(tensor.data_type, tensor.format, shapes_.dims[static_cast<size_t>(t)].data(), tensor.rank));
    };
    for (int32_t t : failed.inputs) add("input", t);
    for (int32_t t : failed.outputs) add("output", t);
    // A launch is where faults of earlier kernels show.
    if (failure.code == DT_DEVICE_FAULT && !is_debug_sync_) failure.hint = status::kFindFaultyLayer;
    throw;
  }
  std::abort();  // check throws for every code but 0
}

}  // namespace dovetail
