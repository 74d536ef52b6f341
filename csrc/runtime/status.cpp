// SPDX-License-Identifier: Apache-2.0
#include "runtime/status.hpp"

#include <algorithm>
#include <cstdio>

namespace dovetail::status {
namespace {

using Facts = std::vector<std::pair<std::string, std::string>>;

Failure make(dt_code code, std::string message, Facts facts = {}, std::string hint = "", Facts attributes = {}) {
  Failure failure;
  failure.code = code;
  failure.message = std::move(message);
  failure.facts = std::move(facts);
  failure.hint = std::move(hint);
  failure.attributes = std::move(attributes);
  return failure;
}

std::string quoted(const std::string& name) { return "'" + name + "'"; }

std::string listed(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return text.empty() ? "none" : text;
}

std::string number(uint64_t n) { return std::to_string(n); }

std::string range(Extent at) {
  char text[64];
  std::snprintf(text, sizeof text, "0x%llx..0x%llx", static_cast<unsigned long long>(at.begin),
                static_cast<unsigned long long>(at.end - 1));
  return text;
}

const char* const kRebuild = "Build the plan again with the plugins that are installed here.";

}  // namespace

std::string text_of(const Failure& failure) {
  std::string text;
  switch (failure.code) {
#define DT_CLASS(name, value, error)  \
  case value:                         \
    text = std::string(error) + ": "; \
    break;
    DT_CODES(DT_CLASS)
#undef DT_CLASS
  }
  text += failure.message;
  size_t width = 0;
  for (const auto& [left, right] : failure.facts) width = std::max(width, left.size());
  for (const auto& [left, right] : failure.facts)
    text += "\n  " + left + std::string(width - left.size() + 2, ' ') + right;
  if (!failure.hint.empty()) text += "\n  " + failure.hint;
  return text;
}

Failure unreadable_file(const std::string& path, const std::string& reason) {
  return make(DT_PLAN_CORRUPT, "plan " + quoted(path) + " cannot be read: " + reason, {{"path", path}});
}

Failure plan_corrupt(const std::string& field, const std::string& expected, const std::string& got) {
  return make(DT_PLAN_CORRUPT, "the plan cannot be loaded: its " + field + " is wrong",
              {{"field", field}, {"expected", expected}, {"got", got}},
              "The file is damaged or was not written by dovetail. Copy it again, or build it again.",
              {{"field", field}, {"expected", expected}, {"got", got}});
}

Failure foreign_file(const std::string& kind, const std::string& hint) {
  return make(DT_PLAN_CORRUPT, "this is " + kind + ", not a dovetail plan", {}, hint, {{"got", kind}});
}

Failure plan_version(int64_t major, int64_t minor, int64_t oldest_major, int64_t newest_major) {
  return make(DT_PLAN_VERSION, "the plan cannot be loaded: its format is another one",
              {{"plan", std::to_string(major) + "." + std::to_string(minor)},
               {"this runtime", std::to_string(oldest_major) + ".x to " + std::to_string(newest_major) + ".x"}},
              "Build the plan again with this version of dovetail.");
}

Failure plan_device(const std::string& type, const std::string& reason) {
  return make(DT_PLAN_VERSION, "the plan cannot be loaded: it is for device " + quoted(type),
              {{"plan", type}, {"here", reason}}, "Run it where such a device works, or build the plan for the cpu.");
}

Failure plan_architecture(int32_t wanted, const std::string& wanted_name, int32_t present,
                          const std::string& present_name) {
  const auto text = [](int32_t sm, const std::string& name) {
    return (name.empty() ? "" : name + ", ") + "sm_" + std::to_string(sm);
  };
  return make(DT_PLAN_VERSION, "the plan cannot be loaded: it was built for another GPU",
              {{"plan", text(wanted, wanted_name)}, {"this device", text(present, present_name)}},
              "Build the plan on this device: its kernels were chosen and timed for the other one.",
              {{"expected", std::to_string(wanted)}, {"got", std::to_string(present)}});
}

Failure plan_isa(const std::string& missing, const std::string& present) {
  const std::string named = missing.empty() ? "instructions that this version does not know" : missing;
  return make(DT_PLAN_VERSION, "the plan cannot be loaded: it needs " + named + ", which this cpu lacks",
              {{"missing", named}, {"this cpu", present.empty() ? "none of the optional ones" : present}},
              "Build the plan on this machine. DOVETAIL_FORCE_ISA also hides instruction sets.");
}

Failure plan_machine(const std::string& wanted, const std::string& present) {
  return make(DT_PLAN_VERSION, "the plan cannot be loaded: it was built for another kind of machine",
              {{"plan", wanted}, {"this machine", present}}, "Build the plan on this machine.");
}

Failure implementation_missing(const std::string& layer, const std::string& op, const std::string& implementation,
                               const Provider& provider) {
  Facts facts = {{"op", op}, {"implementation", implementation}};
  if (!provider.plugin.empty())
    facts.emplace_back("plugin",
                       provider.plugin + (provider.plugin_version.empty() ? "" : " ") + provider.plugin_version);
  if (!provider.library.empty()) facts.emplace_back("library", provider.library);
  if (!provider.distribution.empty()) facts.emplace_back("distribution", provider.distribution);
  std::string hint;
  if (!provider.python.empty())
    hint = "Register it (registry.add_op, or register_creator for a creator): it was written in Python, " +
           provider.python;
  if (!provider.library.empty())
    hint = "Load " + provider.library + " (registry.load_library, dt_runtime_load_library)";
  if (!provider.distribution.empty())
    hint += (hint.empty() ? "Run pip install " : ", or run pip install ") + provider.distribution;
  if (hint.empty()) hint = "Load the plugin that provides it";
  return make(DT_NOT_FOUND, "layer " + quoted(layer) + " needs " + implementation + ", which no loaded plugin provides",
              std::move(facts), hint + ". Then load the plan again.",
              {{"layer", layer},
               {"op", op},
               {"implementation", implementation},
               {"plugin", provider.plugin},
               {"library", provider.library},
               {"distribution", provider.distribution}});
}

Failure row_missing(const std::string& layer, const std::string& implementation, const std::string& row,
                    const std::vector<std::string>& present) {
  return make(DT_PLAN_VERSION, "layer " + quoted(layer) + " needs tactic " + quoted(row) + " of " + implementation,
              {{"wanted", row.empty() ? "the one without a name" : row}, {"present", listed(present)}}, kRebuild);
}

Failure row_refuses(const std::string& layer, const std::string& implementation, const std::string& row,
                    const std::string& reason) {
  return make(
      DT_PLAN_VERSION,
      "layer " + quoted(layer) + " cannot run on " + implementation + " " + row + " with the tensors of the plan",
      {{"reason", reason}}, kRebuild);
}

Failure extents_refused(const std::string& layer, const std::string& implementation, const std::string& reason) {
  return make(DT_SHAPE, "layer " + quoted(layer) + " cannot run on " + implementation + " with the present shapes",
              {{"reason", reason}}, kRebuild, {{"layer", layer}});
}

Failure field_differs(const std::string& layer, const std::string& subject, const std::string& field,
                      const std::string& read_as, const std::string& stored_as) {
  return make(DT_PLAN_VERSION,
              "layer " + quoted(layer) + " has a field " + quoted(field) + " that " + subject + " cannot read",
              {{"reads", read_as}, {"plan", stored_as}}, kRebuild);
}

Failure library_changed(const std::string& layer, const std::string& implementation, const std::string& built_with,
                        const std::string& present) {
  return make(DT_PLAN_VERSION, "layer " + quoted(layer) + " has weights packed by another build of " + implementation,
              {{"plan", built_with}, {"loaded", present}}, kRebuild);
}

Failure implementation_incomplete(const std::string& layer, const std::string& implementation,
                                  const std::string& missing) {
  return make(DT_PLUGIN_FAILED, "layer " + quoted(layer) + " cannot be made: " + implementation + " has no " + missing,
              {{"implementation", implementation}, {"missing", missing}});
}

Failure outside_profile(const std::string& input, const std::vector<Extents>& extents, int profile,
                        const std::string& engine) {
  std::string dims;
  Facts facts;
  for (const Extents& e : extents) {
    dims += (dims.empty() ? "" : ", ") + std::to_string(e.given);
    const std::string range = std::to_string(e.low) + (e.low == e.high ? std::string() : ".." + std::to_string(e.high));
    const bool fits = e.given >= e.low && e.given <= e.high;
    if (fits && e.low == e.high) continue;  // nothing to choose here, and chosen rightly
    facts.emplace_back(e.name, std::to_string(e.given) + "    allowed " + range + (fits ? ", fits" : ""));
  }
  return make(DT_PROFILE,
              "input " + quoted(input) + " [" + dims + "] is outside profile " + std::to_string(profile) +
                  " of engine " + quoted(engine),
              std::move(facts),
              "Give dimensions inside it, choose another profile, or rebuild with a wider profile.set_shape(\"" +
                  input + "\", ...).",
              {{"input", input}, {"profile", std::to_string(profile)}});
}

Failure contents_outside_profile(const std::string& input, const std::vector<Extents>& elements, int profile,
                                 const std::string& engine) {
  std::string values;
  Facts facts;
  for (const Extents& e : elements) {
    values += (values.empty() ? "" : ", ") + std::to_string(e.given);
    if (e.given < e.low || e.given > e.high)
      facts.emplace_back(
          e.name, std::to_string(e.given) + "    allowed " + std::to_string(e.low) + ".." + std::to_string(e.high));
  }
  return make(DT_PROFILE,
              "the contents {" + values + "} of shape input " + quoted(input) + " are outside profile " +
                  std::to_string(profile) + " of engine " + quoted(engine),
              std::move(facts),
              "Give values inside it, or rebuild with a wider profile.set_shape_input(\"" + input + "\", ...).",
              {{"input", input}, {"profile", std::to_string(profile)}});
}

Failure size_outside_bounds(const std::string& layer, const std::string& tensor, int64_t given, int64_t upper,
                            const std::string& expression) {
  return make(DT_SHAPE, "layer " + quoted(layer) + " tells an extent that it must not have",
              {{tensor, std::to_string(given)},
               {"allowed", "0.." + std::to_string(upper) + (expression.empty() ? "" : ", which is " + expression)}},
              "The plugin declared the upper bound; its kernel has to keep to it.", {{"layer", layer}});
}

Failure size_not_as_written(const std::string& layer, size_t output, const std::string& written,
                            const std::string& told) {
  return make(DT_SHAPE,
              "layer " + quoted(layer) + " gave output " + std::to_string(output) + " other dims than it told",
              {{"returned", written}, {"told by its size outputs", told}},
              "The size outputs have to hold the extents of the arrays beside them.", {{"layer", layer}});
}

Failure rank_differs(const std::string& input, int expected, int given) {
  return make(DT_PROFILE, "input " + quoted(input) + " cannot have " + std::to_string(given) + " dimensions",
              {{"expected", std::to_string(expected) + " dimensions"}, {"got", std::to_string(given)}});
}

Failure unequal_extent(const std::string& input, const std::string& dimension, int64_t given, int64_t expected,
                       const std::string& expression) {
  return make(DT_SHAPE,
              "input " + quoted(input) + " cannot have " + std::to_string(given) + " in dimension " + dimension,
              {{"given", std::to_string(given)}, {"required", std::to_string(expected) + " = " + expression}});
}

Failure constraint_broken(const std::string& engine, const std::string& text, const std::string& inputs) {
  return make(DT_SHAPE, "engine " + quoted(engine) + " cannot take these shapes: " + text, {{"inputs", inputs}});
}

Failure extent_invalid(const std::string& tensor, const std::string& dimension, const std::string& expression,
                       const std::string& problem, const std::string& inputs) {
  return make(DT_SHAPE, "tensor " + quoted(tensor) + " cannot have a dimension " + dimension + " that " + problem,
              {{"dimension " + dimension, expression}, {"inputs", inputs}});
}

Failure shapes_unknown(const std::vector<std::string>& inputs) {
  return make(DT_BINDING, "the context cannot run: the shape of " + listed(inputs) + " is not set", {},
              "Call set_input_shape for each of them; they have dimensions that the plan leaves open.");
}

Failure size_unknown(const std::string& output) {
  return make(DT_BINDING, "the size of output " + quoted(output) + " is not known before the layers have run", {},
              "Set an output allocator, or memory of get_max_output_size bytes; ask for the shape afterwards.",
              {{"output", output}});
}

Failure output_not_allocated(const std::string& output, uint64_t bytes) {
  return make(DT_OUT_OF_MEMORY, "the output allocator gave no memory for " + quoted(output),
              {{"needed", number(bytes) + " bytes"}}, "", {{"output", output}});
}

Failure allocator_of_input(const std::string& input) {
  return make(DT_BINDING, quoted(input) + " is an input: only outputs have allocators");
}

Failure no_such_profile(int64_t profile, size_t n_profiles) {
  return make(DT_PROFILE, "there is no profile " + std::to_string(profile),
              {{"profiles", "0.." + number(n_profiles - 1)}, {"got", std::to_string(profile)}});
}

Failure no_such_tensor(int64_t index, size_t n_tensors) {
  return make(DT_BINDING, "there is no input or output " + std::to_string(index),
              {{"inputs and outputs", number(n_tensors)}, {"got", std::to_string(index)}},
              "Inputs come first, then outputs, counted from 0.");
}

Failure no_such_name(const std::string& name, const std::vector<std::string>& present) {
  return make(DT_BINDING, "there is no input or output " + quoted(name), {{"present", listed(present)}, {"got", name}});
}

Failure argument_missing(const std::string& argument) {
  return make(DT_INVALID_ARGUMENT, "argument " + argument + " cannot be null");
}

Failure environment_invalid(const std::string& variable, const std::string& value, const std::string& what,
                            const std::string& allowed) {
  return make(DT_INVALID_ARGUMENT, variable + " = " + quoted(value) + " is not " + what, {{"allowed", allowed}},
              "Set it to one of these, or unset it.");
}

Failure addresses_missing(const std::vector<std::string>& tensors) {
  return make(DT_BINDING, "the context cannot run: the address of " + listed(tensors) + " is not set", {},
              "Call set_tensor_address (dt_context_set_address) for each of them.");
}

Failure outputs_overlap(const std::string& first, Extent at, const std::string& second, Extent other) {
  return make(DT_BINDING, "outputs " + quoted(first) + " and " + quoted(second) + " cannot lie in the same memory",
              {{quoted(first), range(at)}, {quoted(second), range(other)}}, "Give each output memory of its own.",
              {{"output", second}});
}

Failure output_over_input(const std::string& output, Extent at, const std::string& input, Extent other) {
  return make(DT_BINDING,
              "output " + quoted(output) + " cannot lie in the memory of input " + quoted(input) +
                  ", which is still read when it is written",
              {{"output " + quoted(output), range(at)}, {"input " + quoted(input), range(other)}},
              "Give the output memory of its own, or call context.run with arrays, which copies the input.",
              {{"output", output}, {"input", input}});
}

Failure io_in_memory(const std::string& tensor, Extent at, Extent memory) {
  return make(DT_BINDING, "tensor " + quoted(tensor) + " cannot lie in the memory that the context works in",
              {{quoted(tensor), range(at)}, {"device_memory", range(memory)}},
              "Give device_memory (dt_context_set_memory) bytes that nothing else uses.", {{"tensor", tensor}});
}

Failure context_in_use(const std::string& engine, bool by_another_thread) {
  const std::string subject = "a context of engine " + quoted(engine) + " cannot be used ";
  if (by_another_thread)
    return make(DT_BINDING, subject + "by two threads at once: another one is using it", {},
                "Make a context for each thread: engine.create_execution_context() (dt_context_create).");
  return make(DT_BINDING, subject + "from within its own execution", {},
              "A plugin or an output allocator may ask for shapes; it cannot change or run the context that runs it.");
}

Failure buffer_too_small(const std::string& tensor, uint64_t given, uint64_t needed) {
  return make(DT_BINDING, "tensor " + quoted(tensor) + " cannot live in a buffer of " + number(given) + " bytes",
              {{"buffer", number(given) + " bytes"}, {"needed", number(needed) + " bytes"}});
}

Failure out_of_memory(const std::string& what, uint64_t bytes) {
  return make(DT_OUT_OF_MEMORY, "there is no memory for " + what + " of " + number(bytes) + " bytes",
              {{"needed", number(bytes) + " bytes"}});
}

Failure no_context_memory(uint64_t bytes, const std::string& layer, const std::string& implementation,
                          uint64_t workspace_bytes) {
  Facts facts = {{"needed", number(bytes) + " bytes"}};
  if (!layer.empty())
    facts.emplace_back("largest workspace",
                       number(workspace_bytes) + " bytes, for layer " + quoted(layer) + " on " + implementation);
  return make(DT_OUT_OF_MEMORY, "there is no memory for a context of " + number(bytes) + " bytes", std::move(facts), "",
              {{"layer", layer}, {"plugin", implementation}});
}

Failure memory_missing(uint64_t bytes) {
  return make(DT_BINDING, "the context cannot run: it was made without memory, and none was given",
              {{"needed", number(bytes) + " bytes"}}, "Set device_memory before running.");
}

Failure memory_unusable(uint64_t given, uint64_t needed, int64_t alignment, bool is_aligned) {
  const std::string bytes = std::to_string(alignment) + " bytes";
  return make(DT_BINDING, "the context cannot work in this memory",
              {{"size", number(given) + " bytes, needed " + number(needed)},
               {"alignment", is_aligned ? bytes + ", fits" : "must be a multiple of " + bytes}});
}

Failure tensor_outgrows_arena(const std::string& tensor, uint64_t bytes, uint64_t offset, uint64_t arena_bytes) {
  return make(
      DT_PLAN_CORRUPT, "tensor " + quoted(tensor) + " does not fit into the memory that the plan gives it",
      {{"tensor", number(bytes) + " bytes at offset " + number(offset)}, {"memory", number(arena_bytes) + " bytes"}},
      "The plan's memory layout is wrong for these shapes. Build the plan again.");
}

Failure memory_shared(const std::string& layer, const std::string& tensor, const std::string& other) {
  return make(DT_PLAN_CORRUPT,
              "layer " + quoted(layer) + " cannot run: the plan puts " + quoted(tensor) + " and " + other +
                  " into the same memory",
              {}, "The plan's memory layout is wrong for these shapes. Build the plan again.");
}

Failure stream_kind(int kind, int32_t device) {
  const bool is_cpu = device == DT_DEVICE_CPU;
  return make(DT_UNSUPPORTED,
              std::string("a plan for ") + (is_cpu ? "the cpu" : "cuda") + " cannot run on a stream of kind " +
                  std::to_string(kind),
              {{"expected", is_cpu ? "0 (no stream)" : "1 (a cudaStream_t)"}, {"got", std::to_string(kind)}});
}

Failure no_device(const std::string& reason) {
  return make(DT_UNSUPPORTED, "no GPU can be used: " + reason, {}, "Run `dovetail env` to see what is missing.");
}

Failure no_such_device(int32_t index, int32_t n_devices) {
  return make(DT_INVALID_ARGUMENT, "there is no GPU " + std::to_string(index),
              {{"devices", "0.." + std::to_string(n_devices - 1)}});
}

Failure out_of_device_memory(const std::string& what, uint64_t bytes, const std::string& reason) {
  return make(DT_OUT_OF_MEMORY, "the device has no memory for " + what + " of " + number(bytes) + " bytes",
              {{"needed", number(bytes) + " bytes"}, {"device", reason}});
}

Failure device_differs(const std::string& layer, const std::string& implementation, int32_t planned, int32_t present) {
  const auto text = [](int32_t device) { return device == DT_DEVICE_CUDA ? "cuda" : "cpu"; };
  return make(DT_PLAN_CORRUPT, "layer " + quoted(layer) + " cannot run on " + implementation,
              {{"the plan says", text(planned)}, {"it runs on", text(present)}}, kRebuild);
}

Failure address_elsewhere(const std::string& tensor, int32_t wanted, int32_t found) {
  const auto text = [](int32_t device) {
    return device < 0 ? std::string("the host") : "GPU " + std::to_string(device);
  };
  return make(DT_BINDING, "tensor " + quoted(tensor) + " cannot lie in memory of " + text(found),
              {{"needed", "memory of " + text(wanted)}},
              wanted < 0 ? "Copy it to the host first, or build with tensor.location = TensorLocation.DEVICE."
                         : "Copy it to the device first (cudaMemcpy), or call context.run, which does.",
              {{"tensor", tensor}});
}

Failure capture_impossible(const std::string& layer) {
  return make(
      DT_UNSUPPORTED, "the execution cannot be captured into a CUDA graph: layer " + quoted(layer) + " runs on the cpu",
      {{"layer", layer}}, "Give it an implementation on the GPU, or run without capturing.", {{"layer", layer}});
}

Failure capture_undecided(const std::string& layer) {
  return make(
      DT_UNSUPPORTED,
      "the execution cannot be captured into a CUDA graph: in layer " + quoted(layer) +
          " the host waits for data, to decide what runs or to copy what a loop carries",
      {{"layer", layer}},
      "Run without capturing. A loop can be captured if its count is fixed and all that it carries is on the GPU.",
      {{"layer", layer}});
}

}  // namespace dovetail::status
