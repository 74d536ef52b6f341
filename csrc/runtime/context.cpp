// SPDX-License-Identifier: Apache-2.0
#include "runtime/context.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "runtime/interrupt.hpp"
#include "runtime/layout.hpp"

namespace dovetail {
namespace {

constexpr uint64_t kHugePage = uint64_t{2} << 20;

bool is_sync_wanted() {
  const char* value = std::getenv("DOVETAIL_SYNC");
  if (!value || !*value || std::strcmp(value, "0") == 0) return false;
  if (std::strcmp(value, "1") == 0) return true;
  throw status::environment_invalid("DOVETAIL_SYNC", value, "yes or no", "1, 0");
}

// Where empty tensors point to, and outputs that have no memory yet: it is not null, and cannot be written.
uint8_t* make_nothing() {
  void* page = ::mmap(nullptr, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return page == MAP_FAILED ? nullptr : static_cast<uint8_t*>(page);
}
uint8_t* const nothing = make_nothing();

}  // namespace

Memory::Memory(uint64_t bytes, const char* what) : bytes_(bytes) {
  if (bytes < kHugePage) {
    const uint64_t rounded = round_up(std::max<uint64_t>(bytes, 1), kAlignment);
    data_ = static_cast<uint8_t*>(std::aligned_alloc(kAlignment, rounded));
    if (!data_) throw status::out_of_memory(what, bytes);
    std::memset(data_, 0, rounded);
    return;
  }
  mapped_bytes_ = bytes + kHugePage;
  void* mapping = bytes > kMaxBytes
                      ? MAP_FAILED
                      : ::mmap(nullptr, mapped_bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapping == MAP_FAILED) throw status::out_of_memory(what, bytes);
  mapping_ = mapping;
  data_ = reinterpret_cast<uint8_t*>(round_up(reinterpret_cast<uintptr_t>(mapping), kHugePage));
#if defined(MADV_HUGEPAGE)
  ::madvise(data_, bytes, MADV_HUGEPAGE);
#endif
}

Memory& Memory::operator=(Memory&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(mapping_, other.mapping_);
  std::swap(bytes_, other.bytes_);
  std::swap(mapped_bytes_, other.mapped_bytes_);
  return *this;
}

Memory::~Memory() {
  if (mapping_)
    ::munmap(mapping_, mapped_bytes_);
  else
    std::free(data_);
}

void Memory::keep_only(const std::vector<MemoryRange>& ranges) const {
  if (!mapping_) return;
  constexpr uintptr_t kPage = 4096;  // or a divisor of the system's: what is not aligned to pages is refused, and stays
  std::vector<std::pair<uintptr_t, uintptr_t>> kept;
  for (const MemoryRange& range : ranges) {
    const auto begin = reinterpret_cast<uintptr_t>(range.data);
    kept.emplace_back(begin / kPage * kPage, round_up(begin + range.bytes, kPage));
  }
  std::sort(kept.begin(), kept.end());
  auto from = reinterpret_cast<uintptr_t>(mapping_);
  const uintptr_t end = from + mapped_bytes_ / kPage * kPage;
  kept.emplace_back(end, end);
  for (const auto& [begin, after] : kept) {
    if (begin > from) ::madvise(reinterpret_cast<void*>(from), std::min(begin, end) - from, MADV_DONTNEED);
    from = std::max(from, after);
  }
}

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

// ---- what a context is made of

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
    if (plan.tensors[root].constant >= 0)
      // Kernels see it through a pointer to const; the table of C has one struct for both.
      view.data = const_cast<uint8_t*>(engine_->constant(plan.tensors[root].constant, tensor.device));
    if (io_of[root] >= 0) io_views_[static_cast<size_t>(io_of[root])].push_back(static_cast<int32_t>(t));
    views_.push_back(view);
  }
}

void Context::make_launches() {
  const Plan& plan = engine_->plan();
  size_t n = 0;
  for (const PlanStep& step : plan.steps) n += step.inputs.size() + step.outputs.size();
  pointers_.reserve(n);  // runs keep addresses of its elements
  runs_.reserve(plan.steps.size());
  const auto view_of = [this](int32_t t) { return t < 0 ? nullptr : &views_[static_cast<size_t>(t)]; };
  for (size_t i = 0; i < plan.steps.size(); ++i) {
    const PlanStep& step = plan.steps[i];
    const Bound& bound = engine_->steps()[i].bound;
    const dt_tensor* const* inputs = pointers_.data() + pointers_.size();
    for (int32_t t : step.inputs) pointers_.push_back(view_of(t));
    const dt_tensor* const* outputs = pointers_.data() + pointers_.size();
    for (int32_t t : step.outputs) pointers_.push_back(view_of(t));
    dt_run run = {};
    run.h = DT_HDR(dt_run);
    run.call = &call_;
    run.n_inputs = static_cast<uint32_t>(step.inputs.size());
    run.n_outputs = static_cast<uint32_t>(step.outputs.size());
    run.inputs = inputs;
    run.outputs = outputs;
    run.workspace = nothing;
    if (step.packed >= 0) {
      run.packed = engine_->constant(step.packed, step.device);
      run.packed_bytes = plan.constants[static_cast<size_t>(step.packed)].bytes;
    }
    run.pool = engine_->pool().table();
    const bool on_cpu = step.device == DT_DEVICE_CPU && !engine_->device().is_cpu();
    run.stream = on_cpu ? &no_stream_ : &stream_;
    if (on_cpu && first_cpu_step_ < 0) first_cpu_step_ = static_cast<int32_t>(i);
    const bool reads_input = std::any_of(step.inputs.begin(), step.inputs.end(), [&plan](int32_t t) {
      if (t < 0) return false;
      const int32_t root = plan.tensors[static_cast<size_t>(t)].root;
      return plan.tensors[static_cast<size_t>(root)].where == Where::kInput;
    });
    if (reads_input) last_reading_step_ = static_cast<int32_t>(i);
    runs_.push_back(run);
    layers_.push_back(std::make_unique<LayerContext>(bound));
    launches_.push_back({bound.enqueue(), layers_.back()->get(), &runs_.back()});
  }
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
  is_ready_ = false;
  if (!memory_) return;
  const Plan& plan = engine_->plan();
  const PlanProfile& profile = plan.profiles[static_cast<size_t>(profile_)];
  const auto memory_on = [this](int32_t device) {
    return device == engine_->device().type() ? memory_ : staging_->data() ? staging_->data() : nothing;
  };
  for (size_t t = 0; t < views_.size(); ++t) {
    const auto root = static_cast<size_t>(plan.tensors[t].root);
    if (plan.tensors[root].where == Where::kArena)
      views_[t].data = memory_on(plan.tensors[t].device) + profile.offsets[root];
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

// ---- shapes

void Context::forget_shapes() {
  const Plan& plan = engine_->plan();
  const PlanProfile& profile = plan.profiles[static_cast<size_t>(profile_)];
  leaves_.extents = profile.min.extents;
  leaves_.contents = profile.min.contents;
  for (size_t i = 0; i < is_input_known_.size(); ++i)  // an extent with one legal value needs no setting
    is_input_known_[i] = profile.min.extents[i] == profile.max.extents[i];
  forget_sizes();
  std::fill(is_told_.begin(), is_told_.end(), 0);
}

void Context::set_input_shape(size_t input, const int64_t* dims, int rank) {
  const InUse in_use(this, Use::kChange);
  const Plan& plan = engine_->plan();
  if (input >= plan.inputs.size()) throw status::no_such_tensor(static_cast<int64_t>(input), plan.inputs.size());
  const PlanTensor& tensor = tensor_of(input);
  const PlanProfile& profile = plan.profiles[static_cast<size_t>(profile_)];
  if (rank != tensor.rank) throw status::rank_differs(tensor.name, tensor.rank, rank);
  Dims given = {};
  bool fits = true;
  for (int axis = 0; axis < rank; ++axis) {
    const auto a = static_cast<size_t>(axis);
    given[a] = dims[axis];
    fits &= given[a] >= profile.min.extents[input][a] && given[a] <= profile.max.extents[input][a];
  }
  if (!fits) {
    std::vector<status::Extents> extents;
    for (int axis = 0; axis < rank; ++axis) {
      const auto a = static_cast<size_t>(axis);
      extents.push_back({tensor.dim_names[axis].empty() ? "dimension " + std::to_string(axis) : tensor.dim_names[axis],
                         given[a], profile.min.extents[input][a], profile.max.extents[input][a]});
    }
    throw status::outside_profile(tensor.name, extents, profile_, plan.name);
  }
  if (is_input_known_[input] && given == leaves_.extents[input]) return;
  leaves_.extents[input] = given;
  is_input_known_[input] = 1;
  forget_sizes();
}

// Shape inputs are the user's memory, which may change between executions.
void Context::read_contents() {
  const Plan& plan = engine_->plan();
  const PlanProfile& profile = plan.profiles[static_cast<size_t>(profile_)];
  for (size_t i = 0; i < plan.inputs.size(); ++i) {
    if (!plan.is_shape_input(i) || !addresses_[i]) continue;
    const PlanTensor& tensor = tensor_of(i);
    const bool is_wide = tensor.data_type == DT_TYPE_INT64;
    std::vector<int64_t> found(leaves_.contents[i].size());
    const uint64_t bytes = found.size() * (is_wide ? sizeof(int64_t) : sizeof(int32_t));
    if (rooms_[i] < bytes) throw status::buffer_too_small(tensor.name, rooms_[i], bytes);
    std::vector<status::Extents> elements;
    bool fits = true;
    for (size_t k = 0; k < found.size(); ++k) {
      int32_t narrow = 0;
      if (is_wide)
        std::memcpy(&found[k], static_cast<const int64_t*>(addresses_[i]) + k, sizeof(int64_t));
      else
        std::memcpy(&narrow, static_cast<const int32_t*>(addresses_[i]) + k, sizeof(int32_t));
      if (!is_wide) found[k] = narrow;
      const int64_t low = profile.min.contents[i][k], high = profile.max.contents[i][k];
      fits &= found[k] >= low && found[k] <= high;
      elements.push_back({"element " + std::to_string(k), found[k], low, high});
    }
    if (!fits) throw status::contents_outside_profile(tensor.name, elements, profile_, plan.name);
    if (found == leaves_.contents[i]) continue;
    leaves_.contents[i] = found;
    forget_sizes();
  }
}

// And the shapes with them. The bounds are enough until the steps tell.
void Context::forget_sizes() {
  call_.written.clear();
  n_known_ = 0;
  are_shapes_valid_ = false;
  is_ready_ = false;
  is_careful_ = true;
}

void Context::find_if_plain() {
  const auto is_set = [](const OutputAllocator& allocator) { return allocator.allocate != nullptr; };
  const LeafCounts& leaves = engine_->plan().leaves;
  is_plain_ = engine_->device().is_cpu() && leaves.sizes == 0 &&
              std::all_of(leaves.contents.begin(), leaves.contents.end(), [](int n) { return n == 0; }) &&
              std::none_of(allocators_.begin(), allocators_.end(), is_set);
}

bool Context::is_known() { return is_running_ || missing_shapes().empty(); }

void Context::resolve_shapes() {
  if (are_shapes_valid_) return;
  const Plan& plan = engine_->plan();
  bound_sizes(plan, n_known_, &leaves_, &next_.programs);
  evaluate_shapes(plan, plan.profiles[static_cast<size_t>(profile_)], leaves_, n_known_, &next_);
  check_constraints(plan, leaves_, n_known_, next_);
  for (size_t i = 0; i < plan.steps.size(); ++i) {
    const auto changed = [this](int32_t t) {
      return t >= 0 && shapes_.dims[static_cast<size_t>(t)] != next_.dims[static_cast<size_t>(t)];
    };
    if (std::any_of(plan.steps[i].inputs.begin(), plan.steps[i].inputs.end(), changed) ||
        std::any_of(plan.steps[i].outputs.begin(), plan.steps[i].outputs.end(), changed))
      is_told_[i] = 0;
  }
  std::copy(next_.dims.begin(), next_.dims.end(), shapes_.dims.begin());  // in place: the views point here
  shapes_.bytes = next_.bytes;
  are_shapes_valid_ = true;
}

std::vector<std::string> Context::infer_shapes() {
  const InUse in_use(this, Use::kLook);
  return is_running_ ? std::vector<std::string>() : missing_shapes();
}

std::vector<std::string> Context::missing_shapes() {
  std::vector<std::string> missing;
  const Plan& plan = engine_->plan();
  read_contents();
  for (size_t i = 0; i < is_input_known_.size(); ++i)
    if (!is_input_known_[i] || (plan.is_shape_input(i) && !addresses_[i])) missing.push_back(tensor_of(i).name);
  if (missing.empty()) resolve_shapes();
  return missing;
}

int Context::shape(size_t io, Dims* dims) {
  const InUse in_use(this, Use::kLook);
  const PlanTensor& tensor = tensor_of(io);
  const size_t n_inputs = is_input_known_.size();
  if (io < n_inputs && is_input_known_[io]) {
    *dims = leaves_.extents[io];
  } else if (io >= n_inputs && is_known()) {
    *dims = shapes_.dims[static_cast<size_t>(engine_->plan().io_tensor(io))];
    for (int axis = 0; axis < tensor.rank; ++axis) {
      const int32_t program = tensor.dims[axis].program;
      const bool is_open = program >= 0 && engine_->plan().needed_sizes[static_cast<size_t>(program)] > n_known_;
      if (is_open) (*dims)[static_cast<size_t>(axis)] = -1;
    }
  } else {
    for (int axis = 0; axis < tensor.rank; ++axis) (*dims)[static_cast<size_t>(axis)] = tensor.dims[axis].value;
  }
  return tensor.rank;
}

uint64_t Context::max_bytes(size_t io) {
  const InUse in_use(this, Use::kLook);
  const Plan& plan = engine_->plan();
  check_io(io);
  const std::vector<std::string> missing = infer_shapes();
  if (!missing.empty()) throw status::shapes_unknown(missing);
  if (needed_sizes_[io] == 0) return bytes(io);
  const int known = std::exchange(n_known_, 0);
  const std::vector<int64_t> sizes = leaves_.sizes;
  const auto restore = [&] {
    n_known_ = known;
    leaves_.sizes = sizes;
  };
  PlanShapes widest;
  try {
    bound_sizes(plan, 0, &leaves_, &widest.programs);
    evaluate_shapes(plan, plan.profiles[static_cast<size_t>(profile_)], leaves_, 0, &widest);
  } catch (...) {
    restore();
    throw;
  }
  restore();
  return widest.bytes[static_cast<size_t>(plan.io_tensor(io))];
}

uint64_t Context::bytes(size_t io) {
  const InUse in_use(this, Use::kLook);
  check_io(io);
  const std::vector<std::string> missing = infer_shapes();
  if (!missing.empty()) throw status::shapes_unknown(missing);
  if (needed_sizes_[io] > n_known_) throw status::size_unknown(tensor_of(io).name);
  return shapes_.bytes[static_cast<size_t>(engine_->plan().io_tensor(io))];
}

// ---- addresses

void Context::set_address(size_t io, void* address, uint64_t room, std::shared_ptr<void> owner) {
  const InUse in_use(this, Use::kChange);
  check_io(io);
  put_address(io, address, room, std::move(owner));
}

void Context::put_address(size_t io, void* address, uint64_t room, std::shared_ptr<void> owner) {
  owners_[io] = std::move(owner);
  if (addresses_[io] == address && rooms_[io] == room) return;
  addresses_[io] = address;
  rooms_[io] = room;
  is_ready_ = false;
  for (int32_t t : io_views_[io]) views_[static_cast<size_t>(t)].data = address ? address : nothing;
}

void Context::set_output_allocator(size_t output, OutputAllocator allocator) {
  const InUse in_use(this, Use::kChange);
  check_io(output);
  if (output < engine_->plan().inputs.size()) throw status::allocator_of_input(tensor_of(output).name);
  allocators_[output] = std::move(allocator);
  is_ready_ = false;
  find_if_plain();
}

// Inputs and outputs whose extents have just become known: memory for those that an allocator serves, and checks.
void Context::prepare_io() {
  const Plan& plan = engine_->plan();
  for (size_t io = plan.inputs.size(); io < addresses_.size(); ++io) {
    if (is_io_ready_[io] || needed_sizes_[io] > n_known_ || !allocators_[io].allocate) continue;
    const auto t = static_cast<size_t>(plan.io_tensor(io));
    const uint64_t bytes = shapes_.bytes[t];
    void* memory = allocators_[io].allocate(bytes, static_cast<uint64_t>(alignment_on(plan.tensors[t].device)));
    if (!memory && bytes > 0) throw status::output_not_allocated(plan.tensors[t].name, bytes);
    put_address(io, memory, bytes, allocators_[io].owner ? allocators_[io].owner() : nullptr);
    if (allocators_[io].notify) allocators_[io].notify(shapes_.dims[t].data(), plan.tensors[t].rank);
  }
  check_addresses();
}

void Context::check_addresses() {
  const Plan& plan = engine_->plan();
  std::vector<std::string> missing;
  const auto bytes_of = [&](size_t io) { return shapes_.bytes[static_cast<size_t>(plan.io_tensor(io))]; };
  const auto is_due = [&](size_t io) { return needed_sizes_[io] <= n_known_ && bytes_of(io) > 0; };
  for (size_t io = 0; io < addresses_.size(); ++io)
    if (!addresses_[io] && is_due(io)) missing.push_back(tensor_of(io).name);
  if (!missing.empty()) throw status::addresses_missing(missing);
  for (size_t io = 0; io < addresses_.size(); ++io)
    if (bytes_of(io) > rooms_[io] && is_due(io))
      throw status::buffer_too_small(tensor_of(io).name, rooms_[io], bytes_of(io));
  overlap_.begin(given_bytes_ > 0 ? memory_ : nullptr, memory_bytes());
  for (size_t io = 0; io < addresses_.size(); ++io)
    if (is_due(io)) overlap_.add(io, addresses_[io], bytes_of(io));
  overlap_.check();
  for (size_t io = 0; io < addresses_.size(); ++io) {
    if (!engine_->device().is_cpu() && !is_io_ready_[io] && is_due(io)) check_place(io);
    if (needed_sizes_[io] <= n_known_) is_io_ready_[io] = 1;
  }
}

// Is the buffer in memory that its steps can reach? A wrong one would end the process' use of the device.
void Context::check_place(size_t io) {
  const Device& device = engine_->device();
  const int32_t found = device.device_of(addresses_[io]);
  const bool on_device = tensor_of(io).device == DT_DEVICE_CUDA;
  const bool is_fine = on_device ? found == device.index() || found == kPinned : found < 0;
  if (!is_fine) throw status::address_elsewhere(tensor_of(io).name, on_device ? device.index() : -1, found);
}

// ---- execution

// To the steps from `first` on that come before the next size is known, and to the one that tells it.
void Context::tell_shapes(size_t first) {
  const FloatMode mode;
  const std::vector<PlanSize>& sizes = engine_->plan().sizes;
  const auto known = static_cast<size_t>(n_known_);
  const size_t end = known < sizes.size() ? static_cast<size_t>(sizes[known].step) + 1 : launches_.size();
  for (size_t i = first; i < end; ++i) {
    if (is_told_[i]) continue;
    if (const std::string reason = engine_->refusal(i, shapes_.dims); !reason.empty())
      throw status::extents_refused(engine_->plan().steps[i].layer, engine_->plan().steps[i].implementation, reason);
    const dt_implementation* implementation = engine_->steps()[i].bound.implementation;
    if (DT_HAS(dt_implementation, implementation, shape_changed)) {
      const dt_code code = implementation->shape_changed(launches_[i].context, launches_[i].run);
      if (code != DT_OK) fail(i, code, "shape_changed");
    }
    is_told_[i] = 1;
  }
}

void Context::make_ready() {
  const std::vector<std::string> missing = missing_shapes();
  if (!missing.empty()) throw status::shapes_unknown(missing);
  if (!memory_) {
    if (memory_bytes() > 0) throw status::memory_missing(memory_bytes());
    memory_ = nothing;
    place_memory();
  }
  std::fill(is_io_ready_.begin(), is_io_ready_.end(), 0);
  prepare_io();
  tell_shapes(0);
  is_ready_ = true;
}

// What step `step` told: extents that wait for it become known.
void Context::learn_sizes(size_t step) {
  const Plan& plan = engine_->plan();
  const Device& device = engine_->device();
  bool has_news = false;
  while (static_cast<size_t>(n_known_) < plan.sizes.size() &&
         plan.sizes[static_cast<size_t>(n_known_)].step == static_cast<int32_t>(step)) {
    const auto k = static_cast<size_t>(n_known_);
    const auto t = static_cast<size_t>(plan.sizes[k].tensor);
    const PlanTensor& tensor = plan.tensors[t];
    if (!has_news && plan.steps[step].device != DT_DEVICE_CPU) wait_for_stream();
    int64_t value = 0;
    int32_t narrow = 0;
    const bool is_wide = tensor.data_type == DT_TYPE_INT64;
    void* const to = is_wide ? static_cast<void*>(&value) : &narrow;
    const uint64_t bytes = is_wide ? sizeof value : sizeof narrow;
    if (tensor.device == DT_DEVICE_CPU) {
      std::memcpy(to, views_[t].data, bytes);
    } else {
      device.copy(to, views_[t].data, bytes, stream_.handle);
      wait_for_stream();
    }
    if (!is_wide) value = narrow;
    // It may depend on what this step told just before.
    if (has_news) evaluate_programs(plan, leaves_, &next_.programs);
    const auto program = static_cast<size_t>(plan.sizes[k].upper);
    const bool is_bounded = next_.programs.troubles[program] == DimsTrouble::kNone;
    const int64_t upper = is_bounded ? next_.programs.values[program] : 0;
    if (value < 0 || value > std::max<int64_t>(upper, 0))
      throw status::size_outside_bounds(plan.steps[step].layer, tensor.name, value, upper,
                                        plan.text_of({-1, plan.sizes[k].upper}));
    leaves_.sizes[k] = value;
    ++n_known_;
    has_news = true;
  }
  if (!has_news) return;
  are_shapes_valid_ = false;
  resolve_shapes();
  check_written(step);
  prepare_io();
  tell_shapes(step + 1);
}

// Are the dims that the step gave its outputs those that it told?
void Context::check_written(size_t step) {
  const Plan& plan = engine_->plan();
  const std::vector<std::vector<int64_t>> written = std::exchange(call_.written, {});
  for (size_t i = 0; i < std::min(written.size(), plan.steps[step].outputs.size()); ++i) {
    const auto t = static_cast<size_t>(plan.steps[step].outputs[i]);
    const PlanTensor& tensor = plan.tensors[t];
    const auto rank = static_cast<size_t>(tensor.rank);
    if (written[i].size() == rank && std::equal(written[i].begin(), written[i].end(), shapes_.dims[t].begin()))
      continue;
    throw status::size_not_as_written(plan.steps[step].layer, i,
                                      dims_text(written[i].data(), static_cast<int>(written[i].size())),
                                      dims_text(shapes_.dims[t].data(), tensor.rank));
  }
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
  enqueue_all(stream.handle, [](size_t) {});
}

void Context::execute_and_wait() {
  if (is_plain_) {
    execute_carefully();
    return;
  }
  enqueue_all(nullptr, [](size_t) {});
  wait_for_stream();
}

// The launches of a plain plan, with a look at the clock and at the float mode behind each. The first execution with
// these extents, and each one that takes long; the others could not even afford the look.
void Context::execute_carefully() {
  if (!is_ready_) make_ready();
  Interruptible work;
  const FloatMode mode;
  bool changes_mode = false;
  for (size_t i = 0; i < launches_.size(); ++i) {
    const dt_code code = launches_[i].enqueue(launches_[i].context, launches_[i].run);
    if (code != DT_OK) fail(i, code, "enqueue");
    changes_mode |= mode.restore();
    work.poll();
  }
  call_.allocations.clear();
  is_careful_ = changes_mode || work.is_long();
}

void Context::wait_for_stream() {
  if (!engine_->device().is_cpu()) engine_->device().wait(stream_.handle);
}

// after_step(i) is called when step i was enqueued.
template <typename AfterStep>
void Context::enqueue_all(void* stream, const AfterStep& after_step) {
  const Device& device = engine_->device();
  const DeviceScope scope(device);
  const Plan& plan = engine_->plan();
  if (!plan.sizes.empty()) forget_sizes();
  if (std::any_of(allocators_.begin(), allocators_.end(), [](const OutputAllocator& a) { return !!a.allocate; }))
    is_ready_ = false;
  read_contents();
  if (!is_ready_) make_ready();
  is_ready_ = plan.sizes.empty();  // unless it comes to its end
  stream_.handle = stream;
  const std::vector<PlanStep>& steps = plan.steps;
  const int32_t waiting_step = !plan.sizes.empty() ? plan.sizes[0].step : first_cpu_step_;
  const bool is_special = !device.is_cpu() && (is_debug_sync_ || waiting_step >= 0);
  const bool is_captured = is_special && device.is_capturing(stream);
  if (is_captured && waiting_step >= 0)
    throw status::capture_impossible(steps[static_cast<size_t>(waiting_step)].layer);
  const bool waits = is_debug_sync_ && !is_captured && !device.is_cpu();
  const auto record_consumed = [&](int32_t step) {
    if (consumed_event_ && step == last_reading_step_) device.record(consumed_event_, stream);
  };
  record_consumed(-1);  // where no step reads an input
  Interruptible work;
  const FloatMode mode;
  bool is_pending = true;  // is there work on the stream that a step on the CPU has to wait for?
  for (size_t i = 0; i < launches_.size(); ++i) {
    const bool on_cpu = steps[i].device == DT_DEVICE_CPU;
    if (on_cpu && is_pending && !device.is_cpu()) wait_for_stream();
    is_pending = !on_cpu;
    const Launch& launch = launches_[i];
    dt_code code = launch.enqueue(launch.context, launch.run);
    if (code == DT_OK && waits && !on_cpu) code = device.api()->wait_for_stream(&call_, stream);
    if (code != DT_OK) fail(i, code, "enqueue");
    mode.restore();
    learn_sizes(i);
    record_consumed(static_cast<int32_t>(i));
    after_step(i);
    work.poll();
  }
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
  std::vector<uint64_t> times(launches_.size());
  if (is_plain_ && !is_ready_) make_ready();  // no part of the first step
  Clock::time_point before = Clock::now();
  enqueue_all(nullptr, [&](size_t i) {
    const Clock::time_point after = Clock::now();
    times[i] = static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(after - before).count());
    before = after;
  });
  return times;
}

// Between events of the stream.
std::vector<uint64_t> Context::execute_timed(void* stream) {
  const Device& device = engine_->device();
  std::vector<DeviceEvent> events;
  for (size_t i = 0; i <= launches_.size(); ++i) events.emplace_back(device, true);
  const DeviceScope scope(device);
  device.record(events[0].handle(), stream);
  enqueue_all(stream, [&](size_t i) { device.record(events[i + 1].handle(), stream); });
  wait_for_stream();
  std::vector<uint64_t> times;
  for (size_t i = 0; i < launches_.size(); ++i)
    times.push_back(static_cast<uint64_t>(1e6 * device.elapsed_ms(events[i].handle(), events[i + 1].handle())));
  return times;
}

void Context::fail(size_t step, dt_code code, const char* method) {
  const Plan& plan = engine_->plan();
  const PlanStep& failed = plan.steps[step];
  const Bound& bound = engine_->steps()[step].bound;
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
