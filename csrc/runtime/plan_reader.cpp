// SPDX-License-Identifier: Apache-2.0
#include "runtime/plan_reader.hpp"

#include <sys/utsname.h>

#include <algorithm>
#include <utility>

#include "runtime/json_reader.hpp"
#include "runtime/layout.hpp"

namespace dovetail {
namespace {

constexpr int64_t kMajor = 2;        // since 2.1: steps may own blocks
constexpr int64_t kOldestMajor = 1;  // all constants are in the file, and nothing says where they are from
constexpr auto kMaxExtent = static_cast<int64_t>(kMaxBytes);
constexpr size_t kMostSteps = size_t{1} << 30;
constexpr int64_t kMaxShapeVolume = 64;  // elements of an input that is a shape

bool holds_integers(const PlanTensor& tensor) {
  return tensor.data_type == DT_TYPE_INT32 || tensor.data_type == DT_TYPE_INT64;
}

// False for an instruction set that nobody here knows, too.
bool is_present(const std::string& instruction_set) {
#define DT_FEATURE(name, bit) \
  if (instruction_set == #name) return cpu_features() >> bit & 1;
  DT_CPU_FEATURES(DT_FEATURE)
#undef DT_FEATURE
  return false;
}

std::string optional_text(const JsonValue& entry, const char* key) {
  return entry.has(key) && !entry.at(key).is_null() ? entry.at(key).text() : "";
}

Where where_of(const JsonValue& entry) {
  const std::string& word = entry.text();
  if (word == "input") return Where::kInput;
  if (word == "output") return Where::kOutput;
  if (word == "constant") return Where::kConstant;
  if (word == "arena") return Where::kArena;
  if (word == "alias") return Where::kAlias;
  entry.fail("input, output, constant, arena or alias");
}

}  // namespace

void PlanReader::read(const ContainerHeader& header) {
  container_ = read_container(plan_.bytes, header);
  const JsonDocument document = parse_json(container_.plan, "plan");
  const JsonValue root(*document, "");
  const JsonValue version = root.at("version");
  const int64_t major = version.at(0, 2).integer(0), minor = version.at(1).integer(0);
  if (major < kOldestMajor || major > kMajor) throw status::plan_version(major, minor, kOldestMajor, kMajor);
  plan_.name = root.at("name").text();
  plan_.producer = optional_text(root, "producer");
  read_device(root.at("device"));
  read_requirements(root.at("requires"));
  read_constants(root.at("constants"));
  const JsonValue tensors = root.at("tensors");
  read_tensors(tensors);
  read_io(root.at("inputs"), Where::kInput, &plan_.inputs);
  read_io(root.at("outputs"), Where::kOutput, &plan_.outputs);
  read_shape_inputs(root);
  if (root.has("sizes")) plan_.leaves.sizes = static_cast<int>(root.at("sizes").size());
  read_programs(root.at("programs"));
  read_constraints(root.at("constraints"));
  find_roots(tensors);
  measure_constants(tensors);
  const JsonValue steps = root.at("steps");
  plan_.blocks.emplace_back();
  read_steps(steps, 0);
  check_controls();
  check_order(steps);
  check_packing(root.at("constants"));
  if (major > 1) read_origins(root.at("weights"));
  if (root.has("sizes")) read_sizes(root.at("sizes"));
  check_late_memory(tensors);
  read_profiles(root.at("profiles"));
  const auto report = container_.blobs.find("report");
  if (report != container_.blobs.end())
    plan_.report = {reinterpret_cast<const char*>(report->second.data), report->second.n};
  else if (root.has("report"))
    plan_.older_report = root.at("report").json();
  plan_.json = std::move(container_.plan);
}

void PlanReader::read_device(const JsonValue& device) {
  const std::string& type = device.at("type").text();
  if (type != "cpu" && type != "cuda") throw status::plan_device(type, "only plans for the cpu and for cuda are known");
  if (type == "cuda") {
    plan_.device = DT_DEVICE_CUDA;
    plan_.sm = static_cast<int32_t>(device.at("sm").integer(0, 10000));
    plan_.device_name = optional_text(device, "name");
  }
  const std::string machine = optional_text(device, "machine");
  struct utsname here{};
  if (!machine.empty() && uname(&here) == 0 && machine != here.machine)
    throw status::plan_machine(machine, here.machine);
  std::string missing;
  const JsonValue isa = device.at("isa");
  for (size_t i = 0; i < isa.size(); ++i) {
    plan_.isa.push_back(isa.at(i).text());
    if (!is_present(plan_.isa.back())) missing += (missing.empty() ? "" : " ") + plan_.isa.back();
  }
  if (!missing.empty()) throw status::plan_isa(missing, feature_names(cpu_features()));
}

void PlanReader::read_requirements(const JsonValue& list) {
  for (size_t i = 0; i < list.size(); ++i) {
    const JsonValue entry = list.at(i);
    PlanRequirement requirement{optional_text(entry, "hash"), {}};
    requirement.provider = {optional_text(entry, "plugin"), optional_text(entry, "plugin_version"),
                            optional_text(entry, "library"), optional_text(entry, "distribution"),
                            optional_text(entry, "python")};
    plan_.requirements.emplace(entry.at("implementation").text(), std::move(requirement));
  }
}

void PlanReader::read_constants(const JsonValue& list) {
  for (size_t i = 0; i < list.size(); ++i) {
    const JsonValue entry = list.at(i);
    if (entry.has("step")) {
      plan_.constants.push_back({"", nullptr, static_cast<uint64_t>(entry.at("bytes").integer(0, kMaxExtent)),
                                 entry.at("step").index(kMostSteps)});
      continue;
    }
    const auto found = container_.blobs.find(entry.at("name").text());
    if (found == container_.blobs.end()) entry.at("name").fail("a tensor of the file");
    const Container::Blob& blob = found->second;
    const int64_t bytes = entry.at("bytes").integer(0, static_cast<int64_t>(blob.n));
    plan_.constants.push_back({found->first, blob.data, static_cast<uint64_t>(bytes), -1});
  }
}

// The index of a constant that the file holds.
int32_t PlanReader::stored_constant(const JsonValue& entry, bool may_be_none) const {
  const int32_t index = entry.index(plan_.constants.size(), may_be_none);
  if (index >= 0 && !plan_.constants[static_cast<size_t>(index)].data)
    entry.fail("a constant that the file holds, not one that is packed when the plan is loaded");
  return index;
}

void PlanReader::read_tensors(const JsonValue& list) {
  const size_t n = list.size();
  plan_.tensors.resize(n);
  for (size_t i = 0; i < n; ++i) {
    const JsonValue entry = list.at(i);
    PlanTensor& tensor = plan_.tensors[i];
    tensor.name = entry.at("name").text();
    tensor.data_type = static_cast<int32_t>(entry.at("dtype").integer(0, 1 << 16));
    if (!type_info(tensor.data_type)) entry.at("dtype").fail("a data type of plugin.h");
    tensor.format = static_cast<int32_t>(entry.at("format").integer(0, 1 << 16));
    if (!format_info(tensor.format)) entry.at("format").fail("a tensor format of plugin.h");
    tensor.scale = entry.has("scale") ? static_cast<float>(entry.at("scale").number()) : -1.0f;
    tensor.device = read_device_type(entry.at("device"));
    tensor.where = where_of(entry.at("where"));
    if (tensor.where == Where::kConstant) tensor.constant = stored_constant(entry.at("constant"), true);
    if (tensor.where == Where::kAlias) tensor.alias_of = entry.at("alias_of").index(n);
    if (tensor.where == Where::kAlias && entry.has("alias_at"))
      tensor.alias_at = entry.at("alias_at").integer(0, kMaxExtent);
    if (entry.has("parts")) read_parts(entry.at("parts"), n, &tensor);
    read_dims(entry, &tensor);
  }
}

void PlanReader::read_parts(const JsonValue& list, size_t n, PlanTensor* tensor) const {
  if (tensor->where == Where::kInput || tensor->where == Where::kConstant)
    list.fail("parts of a tensor that is written");
  for (size_t k = 0; k < list.size(); ++k) {
    tensor->parts.push_back(list.at(k).index(n));
    if (k > 0 && tensor->parts[k] <= tensor->parts[k - 1]) list.at(k).fail("ascending numbers of tensors");
  }
}

// A plan for the CPU has nothing anywhere else.
int32_t PlanReader::read_device_type(const JsonValue& entry) const {
  const int64_t type = entry.integer(0, 1 << 16);
  if (type == DT_DEVICE_CPU) return DT_DEVICE_CPU;
  if (type != plan_.device) entry.fail(plan_.device == DT_DEVICE_CPU ? "1, for the plan is for the cpu" : "1 or 2");
  return static_cast<int32_t>(type);
}

void PlanReader::read_dims(const JsonValue& entry, PlanTensor* tensor) {
  const JsonValue dims = entry.at("dims");
  if (dims.size() > DT_MAX_RANK) dims.fail("at most " + std::to_string(DT_MAX_RANK) + " dimensions");
  tensor->rank = static_cast<int32_t>(dims.size());
  for (size_t axis = 0; axis < dims.size(); ++axis) {
    const JsonValue extent = dims.at(axis);
    if (extent.is_object())
      tensor->dims[axis] = {-1, extent.at("program").index(size_t{1} << 30)};
    else  // an input's open extent may stand as -1
      tensor->dims[axis] = {extent.integer(tensor->where == Where::kInput ? -1 : 0, kMaxExtent), -1};
  }
  if (!entry.has("dim_names") || entry.at("dim_names").is_null()) return;
  const JsonValue names = entry.at("dim_names");
  for (size_t axis = 0; axis < dims.size(); ++axis) {
    const JsonValue name = names.at(axis, dims.size());
    if (!name.is_null()) tensor->dim_names[axis] = name.text();
  }
}

void PlanReader::read_io(const JsonValue& list, Where where, std::vector<int32_t>* out) {
  std::vector<char> is_listed(plan_.tensors.size(), 0);
  for (size_t i = 0; i < list.size(); ++i) {
    const int32_t tensor = list.at(i).index(plan_.tensors.size());
    if (plan_.tensors[static_cast<size_t>(tensor)].where != where)
      list.at(i).fail(where == Where::kInput ? "a tensor that is an input" : "a tensor that is an output");
    if (std::exchange(is_listed[static_cast<size_t>(tensor)], 1)) list.at(i).fail("each tensor once");
    out->push_back(tensor);
  }
  const auto n = static_cast<size_t>(std::count_if(plan_.tensors.begin(), plan_.tensors.end(),
                                                   [where](const PlanTensor& t) { return t.where == where; }));
  if (n != list.size()) list.fail("all " + std::to_string(n) + " tensors of this kind");
}

// The context reads their contents, so they lie on the host, row by row, and their own extents are known.
void PlanReader::read_shape_inputs(const JsonValue& root) {
  for (int32_t input : plan_.inputs) plan_.leaves.ranks.push_back(plan_.tensors[static_cast<size_t>(input)].rank);
  plan_.leaves.contents.assign(plan_.inputs.size(), 0);
  if (!root.has("shape_inputs")) return;
  const JsonValue list = root.at("shape_inputs");
  for (size_t i = 0; i < list.size(); ++i) {
    const auto input = static_cast<size_t>(list.at(i).index(plan_.inputs.size()));
    const PlanTensor& tensor = plan_.tensors[static_cast<size_t>(plan_.inputs[input])];
    const int64_t volume = !tensor.is_static() || tensor.rank > 1 ? 0 : tensor.rank == 0 ? 1 : tensor.dims[0].value;
    if (!holds_integers(tensor) || tensor.device != DT_DEVICE_CPU || tensor.format != DT_FORMAT_LINEAR || volume < 1 ||
        volume > kMaxShapeVolume)
      list.at(i).fail("an input of 1.." + std::to_string(kMaxShapeVolume) +
                      " int32 or int64 on the cpu, with 0 or 1 dims that are known");
    plan_.leaves.contents[input] = static_cast<int>(volume);
  }
}

void PlanReader::read_programs(const JsonValue& list) {
  size_t words = 0;
  for (size_t i = 0; i < list.size(); ++i) {
    plan_.programs.push_back(list.at(i).integers());
    const std::string problem = verify_program(plan_.programs.back(), plan_.leaves, i);
    if (!problem.empty()) list.at(i).fail("a program that leaves one number", problem);
    words += plan_.programs.back().size();
    if (words > kMaxProgramWords) list.fail("programs of at most " + std::to_string(kMaxProgramWords) + " words");
    plan_.needed_sizes.push_back(needed_sizes(plan_.programs.back(), plan_.needed_sizes));
    plan_.program_order.push_back(static_cast<int32_t>(i));
  }
  std::stable_sort(plan_.program_order.begin(), plan_.program_order.end(), [this](int32_t a, int32_t b) {
    return plan_.needed_sizes[static_cast<size_t>(a)] < plan_.needed_sizes[static_cast<size_t>(b)];
  });
  for (const PlanTensor& tensor : plan_.tensors)
    for (int axis = 0; axis < tensor.rank; ++axis)
      if (tensor.dims[axis].program >= static_cast<int32_t>(plan_.programs.size()))
        list.fail("a program for dimension " + std::to_string(axis) + " of tensor '" + tensor.name + "'",
                  std::to_string(plan_.programs.size()) + " programs");
}

void PlanReader::read_constraints(const JsonValue& list) {
  for (size_t i = 0; i < list.size(); ++i)
    plan_.constraints.push_back(
        {list.at(i).at("program").index(plan_.programs.size()), optional_text(list.at(i), "text")});
}

// Each chain is walked once: up to a tensor whose root is known, and all on the way get the same one.
void PlanReader::find_roots(const JsonValue& tensors) {
  const size_t n = plan_.tensors.size();
  std::vector<size_t> chain;
  for (size_t i = 0; i < n; ++i) {
    size_t at = i;
    while (plan_.tensors[at].where == Where::kAlias && plan_.tensors[at].root < 0) {
      if (chain.size() == n) tensors.at(i).at("alias_of").fail("a chain that ends");
      chain.push_back(at);
      at = static_cast<size_t>(plan_.tensors[at].alias_of);
    }
    const auto root = plan_.tensors[at].where == Where::kAlias ? plan_.tensors[at].root : static_cast<int32_t>(at);
    plan_.tensors[i].root = root;
    for (; !chain.empty(); chain.pop_back()) {
      PlanTensor& alias = plan_.tensors[chain.back()];
      alias.root = root;
      alias.root_at = plan_.tensors[static_cast<size_t>(alias.alias_of)].root_at + alias.alias_at;
      if (alias.root_at > kMaxExtent) tensors.at(chain.back()).at("alias_at").fail("a place in a tensor");
    }
    at = static_cast<size_t>(root);
    check_alias(tensors.at(i), plan_.tensors[i], plan_.tensors[at]);
    for (const int32_t part : plan_.tensors[i].parts)
      if (plan_.tensors[static_cast<size_t>(part)].alias_of != static_cast<int32_t>(i))
        tensors.at(i).at("parts").fail("aliases of this tensor");
    // Memory is aligned for the elements of the tensor that owns it.
    if (type_info(plan_.tensors[i].data_type)->bits > type_info(plan_.tensors[at].data_type)->bits)
      tensors.at(i).at("dtype").fail("a type that is no wider than that of '" + plan_.tensors[at].name + "'");
    if (plan_.tensors[i].device != plan_.tensors[at].device)
      tensors.at(i).at("device").fail("the device of the tensor whose memory it is");
  }
}

void PlanReader::check_alias(const JsonValue& entry, const PlanTensor& tensor, const PlanTensor& root) const {
  if (tensor.root_at == 0) return;
  if (root.where == Where::kConstant) entry.at("alias_at").fail("0, since the tensor is part of a constant");
  if (tensor.root_at % alignment_on(tensor.device) != 0)
    entry.at("alias_at").fail("a multiple of " + std::to_string(alignment_on(tensor.device)));
}

void PlanReader::measure_constants(const JsonValue& tensors) {
  for (size_t i = 0; i < plan_.tensors.size(); ++i) {
    const PlanTensor& tensor = plan_.tensors[i];
    if (tensor.where != Where::kConstant) continue;
    if (!tensor.is_static()) tensors.at(i).at("dims").fail("dimensions that are known");
    int64_t dims[DT_MAX_RANK];
    for (int axis = 0; axis < tensor.rank; ++axis) dims[axis] = tensor.dims[axis].value;
    uint64_t needed = 0;
    const bool is_possible = tensor_bytes(dims, tensor.rank, tensor.data_type, tensor.format, &needed);
    const uint64_t stored = tensor.constant < 0 ? needed : plan_.constants[static_cast<size_t>(tensor.constant)].bytes;
    if (!is_possible || needed != stored)
      tensors.at(i).fail(std::to_string(stored) + " bytes, as its constant has",
                         tensor_text(tensor.data_type, tensor.format, dims, tensor.rank) + " of " +
                             (is_possible ? std::to_string(needed) + " bytes" : "an impossible size"));
  }
}

FieldValue PlanReader::read_field(const JsonValue& entry) {
  FieldValue field;
  field.name = entry.at(0, 3).text();
  field.type = static_cast<int32_t>(entry.at(1).integer(0, 1 << 16));
  const JsonValue value = entry.at(2);
  const size_t n = value.is_array() ? value.size() : 1;
  const auto item = [&](size_t i) { return value.is_array() ? value.at(i) : value; };
  switch (field.type) {
    case DT_FIELD_FLOAT16:
    case DT_FIELD_FLOAT32:
    case DT_FIELD_FLOAT64:
    case DT_FIELD_BF16: {
      std::vector<double> numbers(n);
      for (size_t i = 0; i < n; ++i) numbers[i] = item(i).number();
      field.value = std::move(numbers);
      break;
    }
    case DT_FIELD_CHAR:
      field.value = value.text();
      break;
    case DT_FIELD_TENSOR: {
      const PlanConstant& constant = plan_.constants[static_cast<size_t>(stored_constant(value.at("constant")))];
      TensorValue tensor;
      tensor.data_type = static_cast<int32_t>(value.at("dtype").integer(0, 1 << 16));
      tensor.dims = value.at("dims").integers(0, kMaxExtent);
      if (tensor.dims.size() > DT_MAX_RANK) value.at("dims").fail("at most " + std::to_string(DT_MAX_RANK));
      uint64_t needed = 0;
      if (!tensor_bytes(tensor.dims.data(), static_cast<int>(tensor.dims.size()), tensor.data_type, DT_FORMAT_LINEAR,
                        &needed) ||
          needed != constant.bytes)
        value.fail("a tensor of " + std::to_string(constant.bytes) + " bytes, as its constant has");
      tensor.data = constant.data;
      field.value = std::move(tensor);
      break;
    }
    case DT_FIELD_INT8:
    case DT_FIELD_INT16:
    case DT_FIELD_INT32:
    case DT_FIELD_INT64:
    case DT_FIELD_DIMS:
    case DT_FIELD_UNKNOWN: {
      std::vector<int64_t> numbers(n);
      for (size_t i = 0; i < n; ++i) numbers[i] = item(i).is_integer() ? item(i).integer() : item(i).boolean();
      field.value = std::move(numbers);
      break;
    }
    default:
      entry.at(1).fail("a field type of plugin.h");
  }
  return field;
}

// With those of their blocks, as they stand in the file.
void PlanReader::read_steps(const JsonValue& list, int32_t block) {
  for (size_t i = 0; i < list.size(); ++i) {
    const JsonValue entry = list.at(i);
    const auto number = static_cast<int32_t>(plan_.steps.size());
    const bool is_control = entry.has("control");
    PlanStep step = is_control ? read_control(entry) : read_step(entry);
    const PlanBlock& own = plan_.blocks[static_cast<size_t>(block)];
    step.block = block;
    step.outer = block == 0 ? number : plan_.steps[static_cast<size_t>(own.owner)].outer;
    plan_.blocks[static_cast<size_t>(block)].steps.push_back(number);
    plan_.steps.push_back(std::move(step));
    steps_.push_back(entry);
    if (is_control) read_blocks(entry.at("blocks"), number);
    plan_.steps[static_cast<size_t>(number)].end = static_cast<int32_t>(plan_.steps.size());
  }
}

PlanStep PlanReader::read_step(const JsonValue& entry) {
  PlanStep step;
  step.layer = entry.at("layer").text();
  step.op = entry.at("op").text();
  step.implementation = entry.at("implementation").text();
  step.row = optional_text(entry, "row");
  step.tactic = entry.has("tactic") ? static_cast<int32_t>(entry.at("tactic").integer(INT32_MIN, INT32_MAX)) : 0;
  if (entry.has("fields") && !entry.at("fields").is_null()) {
    const JsonValue fields = entry.at("fields");
    for (size_t f = 0; f < fields.size(); ++f) step.fields.push_back(read_field(fields.at(f)));
  }
  step.state = entry.has("state") ? stored_constant(entry.at("state"), true) : -1;
  step.packed = entry.has("packed") ? entry.at("packed").index(plan_.constants.size(), true) : -1;
  read_ports(entry, &step);
  step.is_python = entry.has("python") && entry.at("python").boolean();
  if (entry.has("device")) step.device = read_device_type(entry.at("device"));
  if (entry.has("epilogue")) read_epilogue(entry, &step);
  return step;
}

void PlanReader::read_ports(const JsonValue& entry, PlanStep* step) const {
  const JsonValue inputs = entry.at("inputs"), outputs = entry.at("outputs");
  for (size_t t = 0; t < inputs.size(); ++t) step->inputs.push_back(inputs.at(t).index(plan_.tensors.size(), true));
  for (size_t t = 0; t < outputs.size(); ++t) step->outputs.push_back(outputs.at(t).index(plan_.tensors.size()));
}

// The tensors that it takes stand last among the inputs. Of them, only what follows from the extents is left to ask.
void PlanReader::read_epilogue(const JsonValue& entry, PlanStep* step) const {
  const JsonValue epilogue = entry.at("epilogue"), list = epilogue.at("steps"), inputs = entry.at("inputs");
  const auto integer = [](const JsonValue& n) { return static_cast<int32_t>(n.integer(0, 1 << 16)); };
  step->epilogue.result_type = integer(epilogue.at("result_type"));
  step->n_operands = static_cast<size_t>(epilogue.at("n_tensors").integer(0, static_cast<int64_t>(inputs.size())));
  if (list.size() > kMaxEpilogueSteps) list.fail("at most " + std::to_string(kMaxEpilogueSteps) + " steps");
  for (size_t i = 0; i < list.size(); ++i) {
    const JsonValue one = list.at(i), operands = one.at(3, 4);
    dt_step made = {};
    made.h = DT_HDR(dt_step);
    made.operation = integer(one.at(size_t{0}));
    made.layer = integer(one.at(1));
    made.data_type = integer(one.at(2));
    if (operands.size() > 3) operands.fail("at most 3 operands");
    made.n_operands = static_cast<int32_t>(operands.size());
    for (size_t k = 0; k < operands.size(); ++k) {
      const JsonValue operand = operands.at(k);
      made.operand_kind[k] = integer(operand.at(0, 2));
      const bool is_constant = made.operand_kind[k] == DT_OPERAND_CONSTANT;
      if (is_constant) made.operand_constant[k] = static_cast<float>(operand.at(1).number());
      if (!is_constant) made.operand_index[k] = integer(operand.at(1));
    }
    step->epilogue.steps.push_back(made);
  }
  if (const std::string wrong = step->epilogue.problem(step->n_operands); !wrong.empty())
    epilogue.fail("a program over the result", wrong);
  if (step->outputs.size() != 1) epilogue.fail("a step with one output", std::to_string(step->outputs.size()));
  const PlanTensor& output = plan_.tensors[static_cast<size_t>(step->outputs[0])];
  if (output.data_type != step->epilogue.steps.back().data_type)
    epilogue.fail("a program whose last step has the type of the output");
  for (size_t t = step->n_own_inputs(); t < step->inputs.size(); ++t) {
    const PlanTensor* tensor = step->inputs[t] < 0 ? nullptr : &plan_.tensors[static_cast<size_t>(step->inputs[t])];
    if (!tensor || tensor->rank != output.rank || tensor->device != output.device ||
        (tensor->format != DT_FORMAT_LINEAR && tensor->format != output.format))
      inputs.at(t).fail("a tensor with as many dims as the output, on its device, in its format or row by row");
  }
}

void PlanReader::read_sizes(const JsonValue& list) {
  std::vector<int32_t> writer(plan_.tensors.size(), -1);
  for (size_t s = 0; s < plan_.steps.size(); ++s)
    for (int32_t t : plan_.steps[s].outputs) writer[static_cast<size_t>(t)] = static_cast<int32_t>(s);
  for (size_t i = 0; i < list.size(); ++i) {
    const JsonValue entry = list.at(i);
    PlanSize size = {entry.at("tensor").index(plan_.tensors.size()), -1,
                     entry.at("upper").index(plan_.programs.size())};
    const PlanTensor& tensor = plan_.tensors[static_cast<size_t>(size.tensor)];
    size.step = writer[static_cast<size_t>(size.tensor)];
    if (!holds_integers(tensor) || tensor.rank != 0 || tensor.format != DT_FORMAT_LINEAR || size.step < 0)
      entry.at("tensor").fail("an int32 or int64 without dims that a step writes");
    if (plan_.steps[static_cast<size_t>(size.step)].block != 0)
      entry.at("tensor").fail("a tensor that a step of the main block writes");
    if (!plan_.sizes.empty() && plan_.sizes.back().step > size.step)
      entry.at("tensor").fail("sizes in the order of their steps");
    if (plan_.needed_sizes[static_cast<size_t>(size.upper)] > static_cast<int>(i))
      entry.at("upper").fail("a program that looks up earlier sizes at most");
    plan_.sizes.push_back(size);
  }
}

// The memory of an input or output is the user's, who is asked for it when its extents are known: before the first
// step, or behind the one that tells the last of its sizes.
void PlanReader::check_late_memory(const JsonValue& tensors) {
  for (int32_t t : plan_.inputs)
    if (plan_.needed_sizes_of(t) > 0)
      tensors.at(static_cast<size_t>(t)).at("dims").fail("extents that no layer decides, for it is an input");
  size_t n_known = 0;
  for (size_t i = 0; i < plan_.steps.size(); ++i) {
    while (n_known < plan_.sizes.size() &&
           plan_.steps[static_cast<size_t>(plan_.sizes[n_known].step)].end <= static_cast<int32_t>(i))
      ++n_known;
    for (size_t k = 0; k < plan_.steps[i].outputs.size(); ++k) {
      const PlanTensor& tensor = plan_.tensors[static_cast<size_t>(plan_.steps[i].outputs[k])];
      const PlanTensor& root = plan_.tensors[static_cast<size_t>(tensor.root)];
      if (root.where == Where::kOutput && plan_.needed_sizes_of(tensor.root) > static_cast<int>(n_known))
        steps_[i].at("outputs").at(k).fail(
            "a tensor whose memory is known before the step",
            "'" + tensor.name + "', in output '" + root.name + "', whose extents this or a later step decides");
    }
  }
}

// Each constant that is packed when the plan is loaded is what one of the steps packs, from constants that the file
// holds; constants that it does not hold are inputs of steps that have something packed. Which inputs that may be is
// the row's to say, and asked where the row is known.
void PlanReader::check_packing(const JsonValue& constants) const {
  for (size_t i = 0; i < plan_.constants.size(); ++i) {
    const PlanConstant& constant = plan_.constants[i];
    if (constant.step < 0) continue;
    const JsonValue entry = constants.at(i).at("step");
    const auto step = static_cast<size_t>(constant.step);
    if (step >= plan_.steps.size() || plan_.steps[step].packed != static_cast<int32_t>(i))
      entry.fail("a step whose 'packed' is this constant");
    for (int32_t t : plan_.steps[step].inputs)
      if (t >= 0 && plan_.is_packed_only(t))
        entry.fail("a step whose constants the file holds, to pack them",
                   "layer '" + plan_.steps[step].layer + "', which takes '" +
                       plan_.tensors[static_cast<size_t>(t)].name + "'");
  }
  for (size_t i = 0; i < plan_.steps.size(); ++i) {
    const PlanStep& step = plan_.steps[i];
    for (size_t k = 0; k < step.inputs.size(); ++k)
      if (step.inputs[k] >= 0 && step.packed < 0 && plan_.is_packed_only(step.inputs[k]))
        steps_[i].at("inputs").at(k).fail("a tensor whose contents are there, for this step has nothing packed");
  }
}

PlanOrigin PlanReader::read_origin(const JsonValue& entry) const {
  PlanOrigin origin;
  const std::string& how = entry.at("how").text();
  if (how == "given") {
    origin.layer = entry.at("layer").text();
    origin.role = entry.at("role").text();
  } else if (how == "converted") {
    origin.how = PlanOrigin::How::kConverted;
    origin.data_type = static_cast<int32_t>(entry.at("dtype").integer(0, 1 << 16));
    if (!type_info(origin.data_type)) entry.at("dtype").fail("a data type of plugin.h");
  } else if (how == "folded") {
    origin.how = PlanOrigin::How::kFolded;
    origin.layer = entry.at("layer").text();
    origin.by = entry.at("by").text();
    origin.not_refittable = entry.at("not_refittable").text();
  } else if (how == "packed") {
    origin.how = PlanOrigin::How::kPacked;
    origin.step = entry.at("step").index(plan_.steps.size());
    if (plan_.steps[static_cast<size_t>(origin.step)].packed < 0)
      entry.at("step").fail("a step that has packed constants");
  } else {
    entry.at("how").fail("given, converted, folded or packed");
  }
  if (origin.how != PlanOrigin::How::kGiven) {
    const JsonValue of = entry.at("of");
    if (of.size() == 0) of.fail("one entry or more");
    for (size_t i = 0; i < of.size(); ++i) origin.of.push_back(of.at(i).index(plan_.origins.size()));
    if (origin.how == PlanOrigin::How::kConverted && of.size() != 1) of.fail("one entry", std::to_string(of.size()));
  }
  if (!entry.has("tensor")) return origin;
  origin.tensor = entry.at("tensor").index(plan_.tensors.size());
  if (origin.how == PlanOrigin::How::kPacked) entry.at("tensor").fail("none, for packed bytes are not a tensor");
  if (plan_.tensors[static_cast<size_t>(origin.tensor)].where != Where::kConstant)
    entry.at("tensor").fail("a tensor that is a constant");
  return origin;
}

void PlanReader::read_origins(const JsonValue& list) {
  std::vector<char> has_origin(plan_.tensors.size(), 0);
  for (size_t i = 0; i < list.size(); ++i) {
    const JsonValue entry = list.at(i);
    PlanOrigin origin = read_origin(entry);
    if (origin.tensor >= 0 && std::exchange(has_origin[static_cast<size_t>(origin.tensor)], 1))
      entry.at("tensor").fail("each tensor once");
    if (origin.how == PlanOrigin::How::kPacked) {
      const std::vector<int32_t>& inputs = plan_.steps[static_cast<size_t>(origin.step)].inputs;
      for (size_t k = 0; k < origin.of.size(); ++k) {
        const int32_t tensor = plan_.origins[static_cast<size_t>(origin.of[k])].tensor;
        if (tensor < 0 || std::find(inputs.begin(), inputs.end(), tensor) == inputs.end())
          entry.at("of").at(k).fail("the entry of a tensor that the step takes");
      }
    }
    plan_.origins.push_back(std::move(origin));
  }
}

PlanProfile PlanReader::read_profile(const JsonValue& entry) {
  PlanProfile profile;
  const JsonValue inputs = entry.at("inputs");
  for (size_t i = 0; i < plan_.inputs.size(); ++i) {
    const PlanTensor& tensor = plan_.tensors[static_cast<size_t>(plan_.inputs[i])];
    const auto rank = static_cast<size_t>(tensor.rank);
    const JsonValue ranges = inputs.at(i, plan_.inputs.size());
    Dims dims[3] = {};
    for (size_t kind = 0; kind < 3; ++kind) {
      const std::vector<int64_t> values = ranges.at(kind, 3).integers(0, kMaxExtent);
      if (values.size() != rank) ranges.at(kind).fail("a list of " + std::to_string(rank));
      std::copy(values.begin(), values.end(), dims[kind].begin());
    }
    for (size_t axis = 0; axis < rank; ++axis) {
      const int64_t fixed = tensor.dims[axis].value;
      if (dims[0][axis] > dims[1][axis] || dims[1][axis] > dims[2][axis] ||
          (fixed >= 0 && (dims[0][axis] != fixed || dims[2][axis] != fixed)))
        ranges.fail("min <= opt <= max, all equal where the plan knows the extent",
                    std::to_string(dims[0][axis]) + ", " + std::to_string(dims[1][axis]) + ", " +
                        std::to_string(dims[2][axis]) + " in dimension " + std::to_string(axis));
    }
    profile.min.extents.push_back(dims[0]);
    profile.opt.extents.push_back(dims[1]);
    profile.max.extents.push_back(dims[2]);
  }
  read_contents(entry, &profile);
  add_sizes(entry, &profile);
  const auto bytes_of = [&entry](const char* key) {
    return entry.has(key) ? static_cast<uint64_t>(entry.at(key).integer(0, kMaxExtent)) : 0;
  };
  profile.cpu_arena = {static_cast<uint64_t>(entry.at("arena_bytes").integer(0, kMaxExtent)), bytes_of("lower_bound")};
  profile.cuda_arena = {bytes_of("cuda_arena_bytes"), bytes_of("cuda_lower_bound")};
  read_offsets(entry, &profile);
  return profile;
}

void PlanReader::read_contents(const JsonValue& entry, PlanProfile* profile) const {
  Leaves* const all[3] = {&profile->min, &profile->opt, &profile->max};
  for (Leaves* leaves : all) leaves->contents.resize(plan_.inputs.size());
  size_t n = 0;
  for (size_t i = 0; i < plan_.inputs.size(); ++i) {
    if (!plan_.is_shape_input(i)) continue;
    const JsonValue ranges = entry.at("contents").at(n++);
    for (size_t kind = 0; kind < 3; ++kind) {
      all[kind]->contents[i] = ranges.at(kind, 3).integers();
      if (all[kind]->contents[i].size() != static_cast<size_t>(plan_.leaves.contents[i]))
        ranges.at(kind).fail("a list of " + std::to_string(plan_.leaves.contents[i]));
    }
    for (size_t k = 0; k < profile->opt.contents[i].size(); ++k)
      if (profile->min.contents[i][k] > profile->opt.contents[i][k] ||
          profile->opt.contents[i][k] > profile->max.contents[i][k])
        ranges.fail("min <= opt <= max", "others in element " + std::to_string(k));
  }
}

void PlanReader::add_sizes(const JsonValue& entry, PlanProfile* out) const {
  PlanProfile& profile = *out;
  for (Leaves* leaves : {&profile.min, &profile.opt, &profile.max}) leaves->sizes.assign(plan_.sizes.size(), 0);
  bound_programs(plan_, profile.min, &profile.max);
  ProgramResults results;
  bound_sizes(plan_, 0, &profile.opt, &results);
  for (size_t i = 0; i < plan_.sizes.size(); ++i)
    if (results.troubles[static_cast<size_t>(plan_.sizes[i].upper)] != DimsTrouble::kNone)
      entry.fail("a profile in which size " + std::to_string(i) + " is bounded");
  if (!entry.has("sizes")) return;
  // At opt: what the builder took for likely, where not all can be as large as their bounds at once.
  const JsonValue likely = entry.at("sizes");
  for (size_t i = 0; i < plan_.sizes.size(); ++i)
    profile.opt.sizes[i] = likely.at(i, plan_.sizes.size()).integer(0, profile.opt.sizes[i]);
}

void PlanReader::read_offsets(const JsonValue& entry, PlanProfile* out) const {
  PlanProfile& profile = *out;
  const JsonValue offsets = entry.at("offsets");
  profile.offsets = offsets.integers(-1, kMaxExtent);
  if (profile.offsets.size() != plan_.tensors.size()) offsets.fail("one for each tensor");
  for (size_t t = 0; t < profile.offsets.size(); ++t) {
    const int64_t offset = profile.offsets[t];
    const bool is_arena = plan_.tensors[t].where == Where::kArena;
    if (is_arena != (offset >= 0)) offsets.at(t).fail(is_arena ? "an offset" : "-1, for it is not in the arena");
    if (!is_arena) continue;
    const int32_t device = plan_.tensors[t].device;
    if (offset % alignment_on(device) != 0) offsets.at(t).fail("a multiple of " + std::to_string(alignment_on(device)));
    if (offset > static_cast<int64_t>(profile.arena(device).bytes)) offsets.at(t).fail("an offset in the arena");
  }
  const JsonValue workspaces = entry.at("workspace"), sizes = entry.at("workspace_bytes");
  profile.workspace_offsets = workspaces.integers(-1, kMaxExtent);
  const std::vector<int64_t> bytes = sizes.integers(0, kMaxExtent);
  profile.workspace_bytes.assign(bytes.begin(), bytes.end());
  if (profile.workspace_offsets.size() != plan_.steps.size()) workspaces.fail("one for each step");
  if (bytes.size() != plan_.steps.size()) sizes.fail("one for each step");
  for (size_t i = 0; i < bytes.size(); ++i) {
    const int64_t offset = profile.workspace_offsets[i];
    const int32_t device = plan_.steps[i].device;
    const auto arena = static_cast<int64_t>(profile.arena(device).bytes);
    if (offset < 0 && bytes[i] > 0) workspaces.at(i).fail("an offset, for the step has a workspace");
    if (offset >= 0 && (offset % alignment_on(device) != 0 || offset > arena || bytes[i] > arena - offset))
      workspaces.at(i).fail("a multiple of " + std::to_string(alignment_on(device)) + " whose " +
                            std::to_string(bytes[i]) + " bytes end in the arena");
  }
}

void PlanReader::read_profiles(const JsonValue& list) {
  if (list.size() == 0) list.fail("at least one profile");
  for (size_t i = 0; i < list.size(); ++i) plan_.profiles.push_back(read_profile(list.at(i)));
}

}  // namespace dovetail
