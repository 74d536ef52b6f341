// SPDX-License-Identifier: Apache-2.0
#include "runtime/engine.hpp"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <deque>
#include <exception>

#include "runtime/float_mode.hpp"
#include "runtime/layout.hpp"

namespace dovetail {
namespace {

// True if the words of a row fit `values` (types or formats; -1 for absent inputs).
bool words_fit(const RowSide& inputs, const RowSide& outputs, const std::vector<int32_t>& in,
               const std::vector<int32_t>& out) {
  // Inputs at the end may be absent; a kernel writes every output that its row names.
  if (!outputs.repeats_last && out.size() != outputs.words.size()) return false;
  size_t n_alternatives = 1;
  for (const RowSide* side : {&inputs, &outputs})
    for (const auto& word : side->words) n_alternatives = std::max(n_alternatives, word.size());
  const auto fits = [](const RowSide& side, const std::vector<int32_t>& values, size_t alternative) {
    for (size_t i = 0; i < values.size(); ++i) {
      if (values[i] < 0) continue;
      if (i >= side.words.size() && !(side.repeats_last && !side.words.empty())) return false;
      const auto& word = side.words[std::min(i, side.words.size() - 1)];
      if (word[word.size() == 1 ? 0 : alternative] != values[i]) return false;
    }
    return true;
  };
  for (size_t a = 0; a < n_alternatives; ++a)
    if (fits(inputs, in, a) && fits(outputs, out, a)) return true;
  return false;
}

// "" if the row takes the types and formats of the step, else the reason.
std::string refusal(const Plan& plan, const PlanStep& step, const dt_row& row) {
  const std::vector<int32_t> own(step.inputs.begin(), step.inputs.end() - static_cast<ptrdiff_t>(step.n_operands));
  const auto values = [&](const std::vector<int32_t>& tensors, int32_t PlanTensor::* member) {
    std::vector<int32_t> list;
    for (int32_t t : tensors) list.push_back(t < 0 ? -1 : plan.tensors[static_cast<size_t>(t)].*member);
    return list;
  };
  const auto check = [&](const char* text, bool formats, int32_t PlanTensor::* member) -> std::string {
    RowSide inputs, outputs;
    std::string error;
    if (!parse_row(text, formats, &inputs, &outputs, &error)) return error;
    std::vector<int32_t> given = values(step.outputs, member);
    if (!formats && !step.epilogue.empty()) given[0] = step.epilogue.result_type;
    if (words_fit(inputs, outputs, values(own, member), given)) return "";
    return std::string("it takes ") + text;
  };
  std::string reason = row.types ? check(row.types, false, &PlanTensor::data_type) : "";
  if (reason.empty()) reason = check(row.formats ? row.formats : "linear", true, &PlanTensor::format);
  return reason;
}

// "" if every tensor is where the step needs it: on the step's device, or on the CPU for words with "@cpu".
std::string misplaced(const Plan& plan, const PlanStep& step, const dt_row* row) {
  RowSide inputs, outputs;
  std::string error;
  if (row && !parse_row(row->formats ? row->formats : "linear", true, &inputs, &outputs, &error)) return error;
  const auto check = [&](const std::vector<int32_t>& tensors, const RowSide& side, size_t n) -> std::string {
    for (size_t i = 0; i < n; ++i) {  // operands of the epilogue lie as the output does
      if (tensors[i] < 0) continue;
      const bool on_cpu = !side.on_cpu.empty() && side.on_cpu[std::min(i, side.on_cpu.size() - 1)];
      const PlanTensor& tensor = plan.tensors[static_cast<size_t>(tensors[i])];
      if (tensor.device != (on_cpu ? static_cast<int32_t>(DT_DEVICE_CPU) : step.device))
        return "tensor '" + tensor.name + "' lies on another device than this step takes";
    }
    return "";
  };
  const std::string reason = check(step.inputs, inputs, step.n_own_inputs());
  return reason.empty() ? check(step.outputs, outputs, step.outputs.size()) : reason;
}

// The row that the plan names: by its place if the name there is the same, else the first of that name that fits.
const dt_row* find_row(const Plan& plan, const PlanStep& step, const dt_implementation& implementation) {
  if (implementation.n_rows == 0 && step.row.empty()) return nullptr;
  std::vector<std::string> names;
  const dt_row* found = nullptr;
  std::string reason;
  for (uint32_t i = 0; i < implementation.n_rows; ++i) {
    const dt_row* row = implementation.rows[i];
    const std::string name = row->tactic ? row->tactic : "";
    names.push_back(name);
    if (name != step.row) continue;
    const std::string refused = refusal(plan, step, *row);
    if (refused.empty() && (!found || step.tactic == static_cast<int32_t>(i))) found = row;
    if (!refused.empty()) reason = refused;
  }
  if (found) return found;
  if (!reason.empty()) throw status::row_refuses(step.layer, step.implementation, step.row, reason);
  throw status::row_missing(step.layer, step.implementation, step.row, names);
}

std::string field_text(int32_t type, int64_t min_length, int64_t max_length) {
  std::string name = "type " + std::to_string(type);
#define DT_FIELD(word, value, bytes) \
  if (type == value) name = #word;
  DT_FIELD_TYPES(DT_FIELD)
#undef DT_FIELD
  if (min_length == max_length) return name + " x " + std::to_string(max_length);
  return name + " x " + std::to_string(min_length) + ".." + (max_length < 0 ? "" : std::to_string(max_length));
}

// `create` relies on types and lengths, and the plan is not trusted.
void check_field(const PlanStep& step, const std::string& subject, const dt_field& field, int32_t type,
                 int64_t min_length, int64_t max_length) {
  if (type == DT_FIELD_CHAR && max_length == 1) max_length = -1;  // one text of any length
  if (max_length == 1) min_length = 1;
  if (type == DT_FIELD_CHAR) min_length = 0;
  const bool fits = field.type == type && field.length >= min_length && (max_length < 0 || field.length <= max_length);
  if (!fits)
    throw status::field_differs(step.layer, subject, field.name, field_text(type, min_length, max_length),
                                field_text(field.type, field.length, field.length));
}

void check_reads(const PlanStep& step, const FieldArray& fields, const dt_implementation& implementation) {
  for (uint32_t f = 0; f < fields.size(); ++f)
    for (uint32_t r = 0; r < implementation.n_reads; ++r) {
      const dt_read& read = *implementation.reads[r];
      if (std::strcmp(read.name, fields.data()[f]->name) == 0)
        check_field(step, step.implementation, *fields.data()[f], read.type, 0, read.max_length);
    }
}

void check_specs(const PlanStep& step, const FieldArray& fields, const dt_op& op) {
  for (uint32_t f = 0; f < fields.size(); ++f)
    for (uint32_t s = 0; s < op.n_fields; ++s) {
      const dt_field_spec& spec = *op.fields[s];
      if (std::strcmp(spec.name, fields.data()[f]->name) == 0)
        check_field(step, step.op, *fields.data()[f], spec.type, spec.min_length, spec.max_length);
    }
}

// Checks the plan's tensors with the op's rules, if a table describes the op. Throws Failure if they differ.
std::shared_ptr<const OutputRule> rule_of(const Plan& plan, const PlanStep& step, const Object& op) {
  std::deque<RuleTensor> storage;
  const auto tensors_of = [&](const std::vector<int32_t>& indices) {
    std::vector<const RuleTensor*> tensors;
    for (int32_t t : indices) {
      if (t < 0) {
        tensors.push_back(nullptr);
        continue;
      }
      const PlanTensor& tensor = plan.tensors[static_cast<size_t>(t)];
      RuleTensor& made = storage.emplace_back(RuleTensor{tensor.data_type, tensor.rank});
      for (int axis = 0; axis < tensor.rank; ++axis) made.dims[static_cast<size_t>(axis)] = tensor.dims[axis].value;
      tensors.push_back(&made);
    }
    return tensors;
  };
  std::vector<const RuleTensor*> inputs = tensors_of(step.inputs), outputs = tensors_of(step.outputs);
  inputs.resize(step.n_own_inputs());
  RuleTensor result = {};
  if (!step.epilogue.empty() && !outputs.empty()) {
    result = *outputs[0];
    result.data_type = step.epilogue.result_type;
    outputs[0] = &result;
  }
  const std::string reason = OutputRule::refusal(op, inputs, outputs);
  if (!reason.empty()) throw status::row_refuses(step.layer, step.implementation, step.row, reason);
  return OutputRule::ask(op, inputs, outputs.size());
}

// 1 << i for each input whose place what the row packs takes.
uint64_t replaced_by(const dt_row* row) { return row && DT_HAS(dt_row, row, replaces) ? row->replaces : 0; }

// Does what the step has packed take the place of this input? Asked of constants.
bool has_replaced(const Plan& plan, const PlanStep& step, const dt_row* row, size_t input) {
  const bool is_own = input < step.n_own_inputs() && input < 64;
  const bool has_packed = step.packed >= 0 && plan.constants[static_cast<size_t>(step.packed)].bytes > 0;
  return has_packed && is_own && replaced_by(row) >> input & 1;
}

// "" if the plan has what the row packs, else why not: `prepare` may rely on all inputs that it may pack, and on the
// contents of one of them.
std::string cannot_pack(const Plan& plan, const PlanStep& step, const dt_row* row) {
  const uint64_t replaced = replaced_by(row);
  bool has_contents = !replaced;
  std::string candidates;
  for (size_t i = 0; i < 64; ++i) {
    if (!(replaced >> i & 1)) continue;
    const int32_t t = i < step.n_own_inputs() ? step.inputs[i] : -1;
    if (t < 0) return "it packs input " + std::to_string(i) + ", which is missing";
    const PlanTensor& root = plan.tensors[static_cast<size_t>(plan.tensors[static_cast<size_t>(t)].root)];
    has_contents |= root.constant >= 0 && plan.constants[static_cast<size_t>(root.constant)].data;
    candidates += (candidates.empty() ? "" : " or ") + std::to_string(i);
  }
  return has_contents ? "" : "it packs input " + candidates + ", of which the plan has no contents";
}

constexpr uint64_t kSlack = 4096;  // zeros behind a state, for a plugin that does not look at its length

}  // namespace

std::shared_ptr<Engine> Engine::load(const std::string& path, const ThreadOptions& threads, int device) {
  return load(map_file(path), threads, device);
}

std::shared_ptr<Engine> Engine::load(FileBytes bytes, const ThreadOptions& threads, int device) {
  std::shared_ptr<Engine> engine = make(std::move(bytes), threads, device);
  const DeviceScope scope(engine->device_);
  engine->pack_constants();
  if (!engine->device_.is_cpu()) engine->upload_constants();
  return engine;
}

void Engine::check(FileBytes bytes, const ThreadOptions& threads, int device) {
  make(std::move(bytes), threads, device);
}

std::shared_ptr<Engine> Engine::make(FileBytes bytes, const ThreadOptions& threads, int device) {
  const FloatMode mode;
  std::shared_ptr<Engine> engine(new Engine);
  engine->pool_ = ThreadPool::shared(threads);
  engine->plan_ = read_plan(std::move(bytes), engine->pool_.get());
  const Plan& plan = *engine->plan_;
  if (plan.device == DT_DEVICE_CUDA) engine->choose_device(device);
  const DeviceScope scope(engine->device_);
  for (const PlanTensor& tensor : plan.tensors)
    engine->layouts_.push_back(
        {DT_HDR(dt_layout), tensor.data_type, tensor.format, tensor.scale,
         plan.tensors[static_cast<size_t>(tensor.root)].where == Where::kConstant ? uint32_t{DT_TENSOR_CONSTANT} : 0u});
  for (const PlanStep& step : plan.steps) engine->make_step(step);
  engine->find_read_constants();
  for (size_t p = 0; p < plan.profiles.size(); ++p) {
    const std::vector<dt_desc> descs = engine->describe(plan.profiles[p]);
    engine->check_rules(plan.profiles[p]);
    for (size_t i = 0; i < plan.steps.size(); ++i) {
      if (plan.steps[i].is_control()) continue;
      const BoundImplementation& bound = engine->steps_[i].bound;
      const Descs own = engine->descs_of(plan.steps[i], descs);
      std::string reason;
      if (!bound.fits(own, &reason))
        throw status::row_refuses(plan.steps[i].layer, plan.steps[i].implementation, plan.steps[i].row, reason);
      engine->check_epilogue(i, own, descs);
      if (p == 0) bound.configure(own);
    }
    engine->plan_memory(plan.profiles[p], descs);
  }
  return engine;
}

// The row must compute all that the plan leaves to it: nothing else does.
void Engine::check_epilogue(size_t index, const Descs& own, const std::vector<dt_desc>& all) const {
  const PlanStep& step = plan_->steps[index];
  if (step.epilogue.empty()) return;
  std::vector<const dt_desc*> operands;
  for (size_t k = step.n_own_inputs(); k < step.inputs.size(); ++k)
    operands.push_back(&all[static_cast<size_t>(step.inputs[k])]);
  const EpilogueTable table(step.epilogue, static_cast<uint32_t>(operands.size()), operands.data(), nullptr);
  const uint32_t n = steps_[index].bound.absorbed(own, *table.get());
  if (n < step.epilogue.steps.size())
    throw status::row_refuses(step.layer, step.implementation, step.row,
                              "it computes " + std::to_string(n) + " of the " +
                                  std::to_string(step.epilogue.steps.size()) + " steps behind its result");
}

void Engine::choose_device(int index) {
  std::string reason;
  if (list_devices(DT_DEVICE_CUDA, &reason).empty()) throw status::plan_device("cuda", reason);
  device_ = find_device(DT_DEVICE_CUDA, index);
  const dt_device_info info = device_.info();
  if (info.sm != plan_->sm) throw status::plan_architecture(plan_->sm, plan_->device_name, info.sm, info.name);
}

// All in one piece of memory: what steps on the device read, and what they packed.
void Engine::upload_constants() {
  const std::vector<PlanConstant>& constants = plan_->constants;
  constant_offsets_.assign(constants.size(), -1);
  uint64_t bytes = 0;
  const auto place = [&](int32_t index) {
    if (index < 0 || constant_offsets_[static_cast<size_t>(index)] >= 0) return;
    constant_offsets_[static_cast<size_t>(index)] = static_cast<int64_t>(bytes);
    bytes += round_up(constants[static_cast<size_t>(index)].bytes, kDeviceAlignment);
  };
  for (size_t t = 0; t < plan_->tensors.size(); ++t)
    if (plan_->tensors[t].device == DT_DEVICE_CUDA && is_read_[t]) place(plan_->tensors[t].constant);
  for (const PlanStep& step : plan_->steps)
    if (step.device == DT_DEVICE_CUDA) place(step.packed);
  // An empty constant has an address, too.
  device_constants_ = DeviceMemory(device_, bytes + kDeviceAlignment, "the constants of an engine");
  for (size_t i = 0; i < constants.size(); ++i)
    if (constant_offsets_[i] >= 0)
      device_.copy(device_constants_.data() + constant_offsets_[i], on_host(i), constants[i].bytes, nullptr);
  device_.wait(nullptr);
}

const uint8_t* Engine::constant(int32_t index, int32_t device) const {
  const auto i = static_cast<size_t>(index);
  return device == DT_DEVICE_CPU ? on_host(i) : device_constants_.data() + constant_offsets_[i];
}

const uint8_t* Engine::on_host(size_t constant) const {
  const uint8_t* stored = plan_->constants[constant].data;
  return stored ? stored : packed_[constant].data();
}

const uint8_t* Engine::contents(int32_t tensor) const {
  const auto root = static_cast<size_t>(plan_->tensors[static_cast<size_t>(tensor)].root);
  const PlanTensor& owner = plan_->tensors[root];
  return is_read_[root] && owner.constant >= 0 ? constant(owner.constant, owner.device) : nullptr;
}

// Those that no step reads lie nowhere for kernels, even where the plan has them to be packed.
void Engine::find_read_constants() {
  is_read_.assign(plan_->tensors.size(), 0);
  for (size_t i = 0; i < steps_.size(); ++i) {
    const PlanStep& step = plan_->steps[i];
    for (size_t k = 0; k < step.inputs.size(); ++k)
      if (step.inputs[k] >= 0 && !has_replaced(*plan_, step, steps_[i].bound.row, k))
        is_read_[static_cast<size_t>(plan_->tensors[static_cast<size_t>(step.inputs[k])].root)] = 1;
  }
}

// By all threads, each taking the largest that is left.
void Engine::pack_constants() {
  packed_.resize(plan_->constants.size());
  std::vector<size_t> left;
  for (size_t i = 0; i < packed_.size(); ++i)
    if (plan_->constants[i].step >= 0) left.push_back(i);
  if (left.empty()) return;
  std::stable_sort(left.begin(), left.end(),
                   [this](size_t a, size_t b) { return plan_->constants[a].bytes > plan_->constants[b].bytes; });
  uint64_t bytes = 0;  // as the plan has it, which may be wrong
  for (size_t i : left) bytes += std::min(kMaxBytes - bytes, round_up(plan_->constants[i].bytes, kAlignment));
  struct Work {
    Engine& engine;
    const std::vector<size_t>& constants;
    const std::vector<dt_desc> descs;
    SharedMemory memory;
    std::atomic<size_t> next{0};
    std::vector<std::exception_ptr> failures;
    Work(Engine* e, const std::vector<size_t>& list, uint64_t n)
        : engine(*e), constants(list), descs(e->describe(e->plan_->profiles[0])), memory(n), failures(list.size()) {}
  } work(this, left, bytes);
  const auto take = [](void* arg, int32_t) {
    const FloatMode mode;
    Work& all = *static_cast<Work*>(arg);
    for (size_t i = all.next++; i < all.constants.size(); i = all.next++) {
      try {
        all.engine.pack_constant(all.constants[i], all.descs, &all.memory);
      } catch (...) {
        all.failures[i] = std::current_exception();
      }
    }
  };
  pool_->run(n_threads(), take, &work);
  for (const std::exception_ptr& failure : work.failures)
    if (failure) std::rethrow_exception(failure);
}

void Engine::pack_constant(size_t index, const std::vector<dt_desc>& descs, SharedMemory* shared) {
  const PlanConstant& constant = plan_->constants[index];
  const PlanStep& step = plan_->steps[static_cast<size_t>(constant.step)];
  packed_[index] = pack(static_cast<size_t>(constant.step), descs, shared, constant.bytes);
  if (packed_[index].bytes != constant.bytes)
    throw status::row_refuses(step.layer, step.implementation, step.row,
                              "it packs its constants into " + std::to_string(packed_[index].bytes) +
                                  " bytes, the plan was made for " + std::to_string(constant.bytes));
}

Emitted Engine::pack(size_t index) const { return pack(index, describe(plan_->profiles[0]), nullptr, 0); }

Emitted Engine::pack(size_t index, const std::vector<dt_desc>& descs, SharedMemory* shared, uint64_t bytes) const {
  const PlanStep& step = plan_->steps[index];
  const BoundImplementation& bound = steps_[index].bound;
  if (const std::string reason = cannot_pack(*plan_, step, bound.row); !reason.empty())
    throw status::row_refuses(step.layer, step.implementation, step.row, reason);
  return bound.prepare(descs_of(step, descs), shared, bytes);
}

void Engine::make_step(const PlanStep& step) {
  if (step.is_control()) {
    steps_.emplace_back();
    return;
  }
  const PlanRequirement* requirement = plan_->requirement_of(step.implementation);
  Step made;
  if (!find_implementation(step.implementation, &made.entry))
    throw status::implementation_missing(step.layer, step.op, step.implementation,
                                         requirement ? requirement->provider : status::Provider{});
  const std::string& hash = made.entry.hash;
  if (step.packed >= 0 && requirement && !requirement->hash.empty() && !hash.empty() && requirement->hash != hash)
    throw status::library_changed(step.layer, step.implementation, requirement->hash, hash);

  const dt_implementation* implementation = made.entry.implementation;
  if (implementation->device != step.device)
    throw status::device_differs(step.layer, step.implementation, step.device, implementation->device);
  BoundImplementation& bound = made.bound;
  bound.implementation = implementation;
  bound.subject = step.implementation;
  bound.row = find_row(*plan_, step, *implementation);
  if (const std::string reason = misplaced(*plan_, step, bound.row); !reason.empty())
    throw status::row_refuses(step.layer, step.implementation, step.row, reason);
  if (bound.row && bound.row->min_sm > plan_->sm)
    throw status::row_refuses(step.layer, step.implementation, step.row,
                              "it needs sm_" + std::to_string(bound.row->min_sm));
  if (bound.row && (bound.row->needs & ~cpu_features()) != 0)
    throw status::plan_isa(feature_names(bound.row->needs & ~cpu_features()), feature_names(cpu_features()));
  if (bound.row ? !DT_HAS(dt_row, bound.row, enqueue) : !DT_HAS(dt_implementation, implementation, enqueue))
    throw status::implementation_incomplete(step.layer, step.implementation, "enqueue");

  for (size_t k = 0; k < step.inputs.size(); ++k)
    if (step.inputs[k] >= 0 && plan_->is_packed_only(step.inputs[k]) && !has_replaced(*plan_, step, bound.row, k))
      throw status::row_refuses(step.layer, step.implementation, step.row,
                                "it reads input " + std::to_string(k) + ", of which the plan has a packed form only");
  if (step.packed >= 0 && plan_->constants[static_cast<size_t>(step.packed)].step >= 0) {
    const std::string reason =
        replaced_by(bound.row) ? cannot_pack(*plan_, step, bound.row)
                               : "it packs nothing when a plan is loaded: what it packs takes the place of no input";
    if (!reason.empty()) throw status::row_refuses(step.layer, step.implementation, step.row, reason);
  }

  make_object(step, &made);
  steps_.push_back(std::move(made));
}

void Engine::make_object(const PlanStep& step, Step* made) const {
  const dt_implementation* implementation = made->entry.implementation;
  const dt_op* op = made->entry.op;
  BoundImplementation& bound = made->bound;
  const bool is_op_object = (implementation->traits & DT_TRAIT_OP_OBJECT) != 0;
  if (is_op_object && !op)
    throw status::implementation_incomplete(step.layer, step.implementation, "op whose object it works on");
  if (is_op_object && step.state >= 0) {
    const PlanConstant& state = plan_->constants[static_cast<size_t>(step.state)];
    const uint8_t* bytes = state.data;
    if (plan_->bytes.data + plan_->bytes.n < state.data + state.bytes + kSlack) {
      made->state.resize(state.bytes + kSlack);
      bytes = made->state.data();
      std::copy_n(state.data, state.bytes, made->state.data());
    }
    bound.object = Object::load(op, step.op, step.layer, bytes, state.bytes, made->entry.keep);
    const uint64_t saved = bound.object->has_save() ? bound.object->save().size() : state.bytes;
    if (saved != state.bytes)
      throw status::row_refuses(
          step.layer, step.implementation, step.row,
          "it serializes to " + std::to_string(saved) + " bytes, the plan has " + std::to_string(state.bytes));
    made->rule = rule_of(*plan_, step, *bound.object);
    return;
  }
  auto fields = std::make_shared<const FieldArray>(step.fields, step.op);
  check_reads(step, *fields, *implementation);
  if (op) check_specs(step, *fields, *op);
  bound.object = is_op_object
                     ? Object::create(op, step.op, step.layer, fields, made->entry.keep)
                     : Object::create(implementation, step.implementation, step.layer, fields, made->entry.keep);
  if (!op) return;
  const auto described =
      is_op_object ? bound.object : Object::create(op, step.op, step.layer, fields, made->entry.keep);
  made->rule = rule_of(*plan_, step, *described);
}

std::string Engine::refusal(size_t step, const std::vector<Dims>& dims) const {
  const PlanStep& planned = plan_->steps[step];
  for (size_t k = planned.n_own_inputs(); k < planned.inputs.size(); ++k) {
    const auto given = static_cast<size_t>(planned.inputs[k]), result = static_cast<size_t>(planned.outputs[0]);
    const bool may_repeat = plan_->tensors[given].format == DT_FORMAT_LINEAR;  // no other format is read that way
    const std::string wrong =
        cannot_repeat(dims[given].data(), dims[result].data(), plan_->tensors[result].rank, may_repeat);
    if (!wrong.empty()) return "'" + plan_->tensors[given].name + "' cannot be repeated over its result: " + wrong;
  }
  const OutputRule* rule = steps_[step].rule.get();
  if (!rule) return "";
  std::vector<const int64_t*> inputs, outputs;
  std::vector<int32_t> ranks;
  for (int32_t t : planned.inputs) inputs.push_back(t < 0 ? nullptr : dims[static_cast<size_t>(t)].data());
  inputs.resize(planned.n_own_inputs());
  for (int32_t t : plan_->steps[step].outputs) {
    outputs.push_back(dims[static_cast<size_t>(t)].data());
    ranks.push_back(plan_->tensors[static_cast<size_t>(t)].rank);
  }
  return rule->refusal(inputs, outputs, ranks);
}

// At the three points of the profile; at those in use they are asked again when these become known.
void Engine::check_rules(const PlanProfile& profile) const {
  if (std::none_of(steps_.begin(), steps_.end(), [](const Step& step) { return step.rule != nullptr; })) return;
  for (const Leaves* leaves : {&profile.min, &profile.opt, &profile.max}) {
    PlanShapes shapes;
    evaluate_shapes(*plan_, profile, *leaves, 0, &shapes);
    for (size_t i = 0; i < steps_.size(); ++i)
      if (const std::string reason = refusal(i, shapes.dims); !reason.empty())
        throw status::row_refuses(plan_->steps[i].layer, plan_->steps[i].implementation, plan_->steps[i].row, reason);
  }
}

std::vector<dt_desc> Engine::describe(const PlanProfile& profile) const {
  PlanShapes opt;
  evaluate_shapes(*plan_, profile, profile.opt, 0, &opt);
  // Not what the ends of the profile give: an extent such as n * (8 - n) is largest between them.
  Leaves max = profile.max;
  const std::vector<Interval> bounds = bound_programs(*plan_, profile.min, &max);
  std::vector<dt_desc> descs(plan_->tensors.size());
  for (size_t t = 0; t < descs.size(); ++t) {
    const PlanTensor& tensor = plan_->tensors[t];
    dt_desc& desc = descs[t];
    desc = {DT_HDR(dt_desc),
            tensor.rank,
            tensor.data_type,
            tensor.format,
            tensor.scale,
            layouts_[t].flags,
            nullptr,
            {},
            {},
            {},
            {}};
    const PlanTensor& root = plan_->tensors[static_cast<size_t>(tensor.root)];
    if (root.constant >= 0) desc.data = plan_->constants[static_cast<size_t>(root.constant)].data;
    for (int axis = 0; axis < tensor.rank; ++axis) {
      const Extent& extent = tensor.dims[axis];
      desc.dims[axis] = extent.value;
      desc.opt[axis] = opt.dims[t][static_cast<size_t>(axis)];
      const Interval range =
          extent.program < 0 ? Interval{extent.value, extent.value} : bounds[static_cast<size_t>(extent.program)];
      desc.min[axis] = std::max<int64_t>(range.low, 0);
      desc.max[axis] = std::max<int64_t>(range.high, 0);
    }
  }
  for (size_t i = 0; i < plan_->inputs.size(); ++i) {
    dt_desc& desc = descs[static_cast<size_t>(plan_->inputs[i])];
    std::copy_n(profile.min.extents[i].data(), desc.ndim, desc.min);
    std::copy_n(profile.max.extents[i].data(), desc.ndim, desc.max);
  }
  for (size_t t = 0; t < descs.size(); ++t) {
    uint64_t bytes = 0;  // those of products of the largest extents, which planning functions take
    if (!tensor_bytes(descs[t].max, descs[t].ndim, descs[t].data_type, descs[t].format, &bytes))
      throw status::tensor_outgrows_arena(plan_->tensors[t].name, kMaxBytes, 0,
                                          profile.arena(plan_->tensors[t].device).bytes);
  }
  return descs;
}

Descs Engine::descs_of(const PlanStep& step, const std::vector<dt_desc>& all) const {
  Descs descs;
  for (int32_t t : step.inputs) descs.inputs.push_back(t < 0 ? nullptr : &all[static_cast<size_t>(t)]);
  descs.inputs.resize(step.n_own_inputs());
  for (int32_t t : step.outputs) descs.outputs.push_back(&all[static_cast<size_t>(t)]);
  if (!step.epilogue.empty()) {  // what the layer alone gives
    descs.result = std::make_shared<dt_desc>(*descs.outputs[0]);
    descs.result->data_type = step.epilogue.result_type;
    descs.outputs[0] = descs.result.get();
  }
  return descs;
}

void Engine::plan_memory(const PlanProfile& profile, const std::vector<dt_desc>& descs) {
  Memory memory;
  const uint64_t end_of_cpu = round_up(profile.cpu_arena.bytes, kAlignment);
  const uint64_t end_of_cuda = round_up(profile.cuda_arena.bytes, kDeviceAlignment);
  uint64_t beyond_cpu = 0, beyond_cuda = 0;
  for (size_t i = 0; i < steps_.size(); ++i) {
    Workspace workspace;
    workspace.bytes = profile.workspace_bytes[i];
    if (profile.workspace_offsets[i] >= 0) workspace.offset = static_cast<uint64_t>(profile.workspace_offsets[i]);
    const bool is_control = plan_->steps[i].is_control();
    const uint64_t needed = is_control ? 0 : steps_[i].bound.workspace(descs_of(plan_->steps[i], descs), n_threads());
    if (needed > workspace.bytes) {
      const bool on_cuda = plan_->steps[i].device == DT_DEVICE_CUDA;
      workspace = {on_cuda ? end_of_cuda : end_of_cpu, needed};
      uint64_t& beyond = on_cuda ? beyond_cuda : beyond_cpu;
      beyond = std::max(beyond, needed);  // one after the other, so they share
    }
    memory.workspaces.push_back(workspace);
  }
  memory.cpu_bytes = beyond_cpu ? end_of_cpu + beyond_cpu : profile.cpu_arena.bytes;
  memory.cuda_bytes = beyond_cuda ? end_of_cuda + beyond_cuda : profile.cuda_arena.bytes;
  memory_.push_back(std::move(memory));
}

}  // namespace dovetail
