// SPDX-License-Identifier: Apache-2.0
// Extents of a context: those set by the user, those computed from them, and those that steps write during a run.
#include <algorithm>
#include <cstring>
#include <utility>

#include "runtime/context.hpp"
#include "runtime/layout.hpp"

namespace dovetail {

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
  is_ready_ = is_settled_ = false;
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
// Reads the sizes that step `step` has written, and computes the extents that depend on them.
void Context::learn_sizes(size_t step) {
  const Plan& plan = engine_->plan();
  const Device& device = engine_->device();
  bool has_news = false;
  while (static_cast<size_t>(n_known_) < plan.sizes.size() &&
         plan.sizes[static_cast<size_t>(n_known_)].step == static_cast<int32_t>(step)) {
    const auto k = static_cast<size_t>(n_known_);
    const auto t = static_cast<size_t>(plan.sizes[k].tensor);
    const PlanTensor& tensor = plan.tensors[t];
    if (!has_news && (plan.steps[step].device != DT_DEVICE_CPU || plan.steps[step].is_control())) wait_for_stream();
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
    // It may depend on another size of this step.
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
  tell_shapes(static_cast<size_t>(plan.steps[step].end));
}

// Checks that the dims that the step gave its outputs agree with the sizes that it wrote.
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

}  // namespace dovetail
