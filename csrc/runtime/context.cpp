// SPDX-License-Identifier: Apache-2.0
// Parts of a context: views, launches, memory.
#include "runtime/context.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "runtime/layout.hpp"

namespace dovetail {
namespace {

bool is_sync_wanted() {
  const char* value = std::getenv("DOVETAIL_SYNC");
  if (!value || !*value || std::strcmp(value, "0") == 0) return false;
  if (std::strcmp(value, "1") == 0) return true;
  throw status::environment_invalid("DOVETAIL_SYNC", value, "yes or no", "1, 0");
}

}  // namespace

Context::Context(std::shared_ptr<const Engine> engine, int profile, bool own_memory)
    : engine_(std::move(engine)),
      overlap_(*engine_),
      own_memory_(own_memory),
      stream_{DT_HDR(dt_stream), engine_->device().is_cpu() ? 0 : 1, engine_->device().index(), nullptr},
      no_stream_{DT_HDR(dt_stream), 0, 0, nullptr},
      is_debug_sync_(is_sync_wanted()) {
  const DeviceScope scope(engine_->device());
  const FloatMode mode;
  const Plan& plan = engine_->plan();
  leaves_.sizes.resize(plan.sizes.size());
  allocators_.resize(plan.n_io());
  is_io_ready_.resize(plan.n_io());
  for (size_t io = 0; io < plan.n_io(); ++io) needed_sizes_.push_back(plan.needed_sizes_of(plan.io_tensor(io)));
  is_input_known_.resize(plan.inputs.size());
  addresses_.assign(plan.n_io(), nullptr);
  rooms_.assign(plan.n_io(), 0);
  owners_.resize(plan.n_io());
  call_.owners = this;
  is_told_.assign(plan.steps.size(), 0);
  shapes_.dims.resize(plan.tensors.size());
  shapes_.bytes.resize(plan.tensors.size());
  next_ = shapes_;
  make_views();
  make_launches();
  set_profile(profile);
  find_if_plain();
}

Context::~Context() {
  const FloatMode mode;
  layers_.clear();
}

void Context::refuse(bool by_another_thread) const {
  throw status::context_in_use(engine_->plan().name, by_another_thread);
}

// ---- views, launches, memory

void Context::make_views() {
  const Plan& plan = engine_->plan();
  io_views_.resize(plan.n_io());
  std::vector<int32_t> io_of(plan.tensors.size(), -1);
  for (size_t io = 0; io < plan.n_io(); ++io) io_of[static_cast<size_t>(plan.io_tensor(io))] = static_cast<int32_t>(io);
  for (size_t t = 0; t < plan.tensors.size(); ++t) {
    const PlanTensor& tensor = plan.tensors[t];
    const TypeInfo* type = type_info(tensor.data_type);
    dt_tensor view = {};
    view.data = nothing;
    view.device_type = tensor.device;
    view.device_id = tensor.device == DT_DEVICE_CUDA ? engine_->device().index() : 0;
    view.ndim = tensor.rank;
    view.type_code = type->dlpack_code;
    view.type_bits = static_cast<uint8_t>(type->bits);
    view.type_lanes = 1;
    view.shape = shapes_.dims[t].data();
    view.layout = engine_->layout(static_cast<int32_t>(t));
    const auto root = static_cast<size_t>(tensor.root);
    if (plan.tensors[root].where == Where::kConstant)
      // Kernels see it through a pointer to const; the table of C has one struct for both.
      view.data = const_cast<uint8_t*>(engine_->contents(static_cast<int32_t>(t)));
    if (io_of[root] >= 0) io_views_[static_cast<size_t>(io_of[root])].push_back(static_cast<int32_t>(t));
    views_.push_back(view);
    homes_.push_back(static_cast<int32_t>(t));
  }
}

void Context::make_launches() {
  const Plan& plan = engine_->plan();
  size_t n = 0;
  for (const PlanStep& step : plan.steps) n += step.inputs.size() + step.outputs.size();
  pointers_.reserve(n);  // runs keep addresses of its elements
  runs_.reserve(plan.steps.size());
  for (size_t i = 0; i < plan.steps.size(); ++i) make_run(i);
  make_controls();
  std::vector<ControlState*> controls(plan.steps.size(), nullptr);
  for (ControlState& control : controls_) controls[static_cast<size_t>(control.step)] = &control;
  for (const PlanBlock& block : plan.blocks) {
    first_launches_.push_back(launches_.size());
    for (int32_t step : block.steps) {
      const auto i = static_cast<size_t>(step);
      launched_steps_.push_back(i);
      if (controls[i])
        launches_.push_back({&Context::enqueue_control, controls[i], &runs_[i]});
      else
        launches_.push_back({engine_->steps()[i].bound.enqueue(), layers_[i]->get(), &runs_[i]});
    }
  }
  first_launches_.push_back(launches_.size());
}

void Context::make_run(size_t i) {
  const Plan& plan = engine_->plan();
  const PlanStep& step = plan.steps[i];
  const auto view_of = [this](int32_t t) { return t < 0 ? nullptr : &views_[static_cast<size_t>(t)]; };
  const dt_tensor* const* inputs = pointers_.data() + pointers_.size();
  for (int32_t t : step.inputs) pointers_.push_back(view_of(t));
  const dt_tensor* const* outputs = pointers_.data() + pointers_.size();
  for (int32_t t : step.outputs) pointers_.push_back(view_of(t));
  dt_run run = {};
  run.h = DT_HDR(dt_run);
  run.call = &call_;
  run.n_inputs = static_cast<uint32_t>(step.n_own_inputs());
  run.n_outputs = static_cast<uint32_t>(step.outputs.size());
  run.inputs = inputs;
  run.outputs = outputs;
  run.workspace = nothing;
  if (!step.epilogue.empty()) {
    epilogues_.emplace_back(step.epilogue, static_cast<uint32_t>(step.n_operands), nullptr,
                            inputs + step.n_own_inputs());
    run.epilogue = epilogues_.back().get();
  }
  if (step.packed >= 0) {
    run.packed = engine_->constant(step.packed, step.device);
    run.packed_bytes = plan.constants[static_cast<size_t>(step.packed)].bytes;
  }
  run.pool = engine_->pool().table();
  const bool on_cpu = step.device == DT_DEVICE_CPU && !engine_->device().is_cpu();
  run.stream = on_cpu ? &no_stream_ : &stream_;
  if (on_cpu && !step.is_control() && first_cpu_step_ < 0) first_cpu_step_ = static_cast<int32_t>(i);
  const bool reads_input = std::any_of(step.inputs.begin(), step.inputs.end(), [&plan](int32_t t) {
    if (t < 0) return false;
    const int32_t root = plan.tensors[static_cast<size_t>(t)].root;
    return plan.tensors[static_cast<size_t>(root)].where == Where::kInput;
  });
  if (reads_input) last_reading_step_ = step.outer;
  runs_.push_back(run);
  layers_.push_back(step.is_control() ? nullptr : std::make_unique<LayerContext>(engine_->steps()[i].bound));
}

size_t Context::check_io(size_t io) const {
  if (io >= addresses_.size()) throw status::no_such_tensor(static_cast<int64_t>(io), addresses_.size());
  return io;
}

const PlanTensor& Context::tensor_of(size_t io) const {
  const Plan& plan = engine_->plan();
  return plan.tensors[static_cast<size_t>(plan.io_tensor(check_io(io)))];
}

// ---- profile and memory

void Context::set_profile(int profile) {
  const InUse in_use(this, Use::kChange);
  const Plan& plan = engine_->plan();
  if (profile < 0 || static_cast<size_t>(profile) >= plan.profiles.size())
    throw status::no_such_profile(profile, plan.profiles.size());
  const Device& device = engine_->device();
  const Engine::Memory& needed = engine_->memory(profile);
  const uint64_t bytes = device.is_cpu() ? needed.cpu_bytes : needed.cuda_bytes;
  if (own_memory_ && device.is_cpu() && (!owned_->data() || bytes > owned_->bytes()))
    owned_ = memory_for(profile, bytes);
  if (own_memory_ && !device.is_cpu() && (!device_owned_->data() || bytes > device_owned_->bytes())) {
    const uint64_t room = std::max<uint64_t>(bytes, kDeviceAlignment);
    device_owned_ = std::make_shared<DeviceMemory>(device, room, "the memory of a context");
  }
  if (!device.is_cpu() && needed.cpu_bytes > staging_->bytes())
    staging_ = std::make_shared<PinnedMemory>(device, needed.cpu_bytes, "the host memory of a context");
  if (given_bytes_ < bytes) given_bytes_ = 0;
  if (given_bytes_ == 0) memory_ = device.is_cpu() ? owned_->data() : device_owned_->data();
  profile_ = profile;
  forget_shapes();
  place_memory();
}

// The one step whose workspace is large may be why there is none.
std::shared_ptr<Memory> Context::memory_for(int profile, uint64_t bytes) const {
  try {
    return std::make_shared<Memory>(bytes, "the memory of a context");
  } catch (const Failure&) {
    const std::vector<Engine::Workspace>& all = engine_->memory(profile).workspaces;
    const auto largest =
        std::max_element(all.begin(), all.end(),
                         [](const Engine::Workspace& a, const Engine::Workspace& b) { return a.bytes < b.bytes; });
    if (largest == all.end()) throw;
    const PlanStep& step = engine_->plan().steps[static_cast<size_t>(largest - all.begin())];
    throw status::no_context_memory(bytes, step.layer, step.implementation, largest->bytes);
  }
}

uint64_t Context::bytes_on(int32_t device) const {
  const Engine::Memory& memory = engine_->memory(profile_);
  return device == DT_DEVICE_CUDA ? memory.cuda_bytes : memory.cpu_bytes;
}

void Context::set_memory(void* memory, uint64_t bytes) {
  const InUse in_use(this, Use::kChange);
  const Device& device = engine_->device();
  const auto alignment = alignment_on(device.type());
  const bool is_aligned = reinterpret_cast<uintptr_t>(memory) % static_cast<uintptr_t>(alignment) == 0;
  if (memory && (!is_aligned || bytes < memory_bytes()))
    throw status::memory_unusable(bytes, memory_bytes(), alignment, is_aligned);
  if (memory && !device.is_cpu() && device.device_of(memory) != device.index())
    throw status::address_elsewhere("device_memory", device.index(), device.device_of(memory));
  memory_ = memory ? static_cast<uint8_t*>(memory) : device.is_cpu() ? owned_->data() : device_owned_->data();
  given_bytes_ = memory ? bytes : 0;
  place_memory();
}

void Context::place_memory() {
  is_ready_ = is_settled_ = false;
  if (!memory_) return;
  const Plan& plan = engine_->plan();
  const PlanProfile& profile = plan.profiles[static_cast<size_t>(profile_)];
  const auto memory_on = [this](int32_t device) {
    return device == engine_->device().type() ? memory_ : staging_->data() ? staging_->data() : nothing;
  };
  for (size_t t = 0; t < views_.size(); ++t) {
    const auto root = static_cast<size_t>(plan.tensors[t].root);
    if (plan.tensors[root].where == Where::kArena)
      views_[t].data = memory_on(plan.tensors[t].device) + profile.offsets[static_cast<size_t>(homes_[root])] +
                       plan.tensors[t].root_at;
  }
  for (size_t i = 0; i < runs_.size(); ++i) {
    const Engine::Workspace& workspace = engine_->memory(profile_).workspaces[i];
    runs_[i].workspace = memory_on(plan.steps[i].device) + workspace.offset;
    runs_[i].workspace_bytes = workspace.bytes;
  }
}

// ---- arrays that outlive their run

std::shared_ptr<void> Context::owner_of(const void* data) const {
  const auto holds = [data](const auto& memory) {
    const auto* at = static_cast<const uint8_t*>(data);
    return memory->data() && at >= memory->data() && at < memory->data() + std::max<uint64_t>(memory->bytes(), 1);
  };
  if (holds(owned_)) return owned_;
  if (holds(device_owned_)) return device_owned_;
  if (holds(staging_)) return staging_;
  for (size_t io = 0; io < addresses_.size(); ++io)
    if (addresses_[io] == data) return owners_[io];
  if (given_bytes_ && data >= memory_ && data < memory_ + given_bytes_) return nullptr;
  // A constant, or no bytes at all: both are there as long as the engine is.
  return std::const_pointer_cast<Engine>(engine_);
}

void Context::abandon(const dt_run* run, const std::vector<MemoryRange>& kept) {
  const auto is_in = [&kept](const auto& memory) {
    return memory->data() && std::any_of(kept.begin(), kept.end(), [&](const MemoryRange& range) {
             const auto* at = static_cast<const uint8_t*>(range.data);
             return at >= memory->data() && at < memory->data() + memory->bytes();
           });
  };
  const Device& device = engine_->device();
  uint64_t bytes = 0;
  if (is_in(owned_)) {
    auto copy = std::make_shared<Memory>(owned_->bytes(), "a copy of a context's memory, some of which a plugin keeps");
    std::memcpy(copy->data(), owned_->data(), owned_->bytes());
    owned_->keep_only(kept);
    if (memory_ == owned_->data()) memory_ = copy->data();
    owned_ = std::move(copy);
    bytes = owned_->bytes();
  } else if (is_in(staging_)) {  // the stream was waited for before this step
    auto copy = std::make_shared<PinnedMemory>(device, staging_->bytes(), "a copy of a context's host memory");
    std::memcpy(copy->data(), staging_->data(), staging_->bytes());
    staging_ = std::move(copy);
    bytes = staging_->bytes();
  }
  if (!bytes) return;  // of the user's, of the engine's, or on a device, where later steps may be under way already
  place_memory();
  if (std::exchange(has_told_of_kept_, true)) return;
  const PlanStep& step = engine_->plan().steps[static_cast<size_t>(run - runs_.data())];
  log_line(DT_LOG_WARNING, step.implementation + " of layer '" + step.layer +
                               "' keeps arrays of its run. They stay valid, and each run costs a copy of " +
                               std::to_string(bytes) + " bytes for it: let it keep array.copy() instead.");
}
}  // namespace dovetail
