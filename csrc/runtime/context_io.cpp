// SPDX-License-Identifier: Apache-2.0
// Addresses of a context's inputs and outputs, and output allocators.
#include <algorithm>
#include <utility>

#include "runtime/context.hpp"
#include "runtime/layout.hpp"

namespace dovetail {

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
  if (io < is_input_known_.size() && engine_->plan().is_shape_input(io)) is_settled_ = false;  // its contents are read
  for (int32_t t : io_views_[io]) {
    const int64_t at = engine_->plan().tensors[static_cast<size_t>(t)].root_at;
    views_[static_cast<size_t>(t)].data = address ? static_cast<uint8_t*>(address) + at : nothing;
  }
}

void Context::set_output_allocator(size_t output, OutputAllocator allocator) {
  exchange_output_allocator(output, std::move(allocator));
}

Context::OutputAllocator Context::exchange_output_allocator(size_t output, OutputAllocator allocator) {
  const InUse in_use(this, Use::kChange);
  check_io(output);
  if (output < engine_->plan().inputs.size()) throw status::allocator_of_input(tensor_of(output).name);
  std::swap(allocators_[output], allocator);
  is_ready_ = is_settled_ = false;
  find_if_plain();
  return allocator;
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

// True if the steps can access the buffer. An access to a wrong address would break the device for the process.
void Context::check_place(size_t io) {
  const Device& device = engine_->device();
  const int32_t found = device.device_of(addresses_[io]);
  const bool on_device = tensor_of(io).device == DT_DEVICE_CUDA;
  const bool is_fine = on_device ? found == device.index() || found == kPinned : found < 0;
  if (!is_fine) throw status::address_elsewhere(tensor_of(io).name, on_device ? device.index() : -1, found);
}
}  // namespace dovetail
