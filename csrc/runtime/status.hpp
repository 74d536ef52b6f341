// SPDX-License-Identifier: Apache-2.0
// The messages of the runtime's failures: one function for each, whose parameters are the facts.
#ifndef DOVETAIL_RUNTIME_STATUS_HPP
#define DOVETAIL_RUNTIME_STATUS_HPP

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "runtime/host.hpp"

namespace dovetail::status {

// The complete text: "ProfileError: input ...", then facts and hint, indented by two spaces.
std::string text_of(const Failure& failure);

// ---- plans
Failure unreadable_file(const std::string& path, const std::string& reason);
// `field` is the path of what is wrong: "steps[3].inputs[0]", "header", "checksum".
Failure plan_corrupt(const std::string& field, const std::string& expected, const std::string& got);
// `kind` of file, "an ONNX model", and what to do with it.
Failure foreign_file(const std::string& kind, const std::string& hint);
Failure plan_version(int64_t major, int64_t minor, int64_t oldest_major, int64_t newest_major);
// `reason`: why no device of this type can be used here.
Failure plan_device(const std::string& type, const std::string& reason);
// Names with blanks between them, as feature_names gives them.
Failure plan_isa(const std::string& missing, const std::string& present);
Failure plan_machine(const std::string& wanted, const std::string& present);

// Who provides an implementation, as the plan's `requires` says; texts may be empty.
struct Provider {
  std::string plugin, plugin_version, library, distribution, python;
};
Failure implementation_missing(const std::string& layer, const std::string& op, const std::string& implementation,
                               const Provider& provider);
Failure row_missing(const std::string& layer, const std::string& implementation, const std::string& row,
                    const std::vector<std::string>& present);
Failure row_refuses(const std::string& layer, const std::string& implementation, const std::string& row,
                    const std::string& reason);
// The extents in use are not those that the op computes.
Failure extents_refused(const std::string& layer, const std::string& implementation, const std::string& reason);
Failure field_differs(const std::string& layer, const std::string& subject, const std::string& field,
                      const std::string& read_as, const std::string& stored_as);
Failure library_changed(const std::string& layer, const std::string& implementation, const std::string& built_with,
                        const std::string& present);
Failure implementation_incomplete(const std::string& layer, const std::string& implementation,
                                  const std::string& missing);

// ---- shapes
struct Extents {
  std::string name;  // "batch", or the number of the dimension
  int64_t given, low, high;
};
Failure outside_profile(const std::string& input, const std::vector<Extents>& extents, int profile,
                        const std::string& engine);
// `elements` of the contents of an input that is a shape.
Failure contents_outside_profile(const std::string& input, const std::vector<Extents>& elements, int profile,
                                 const std::string& engine);
// The extent that a step wrote, and the expression that bounds it.
Failure size_outside_bounds(const std::string& layer, const std::string& tensor, int64_t given, int64_t upper,
                            const std::string& expression);
// The dims that a step gave an output, and those that follow from the extents that it wrote.
Failure size_not_as_written(const std::string& layer, size_t output, const std::string& written,
                            const std::string& told);
Failure rank_differs(const std::string& input, int expected, int given);
Failure unequal_extent(const std::string& input, const std::string& dimension, int64_t given, int64_t expected,
                       const std::string& expression);
Failure constraint_broken(const std::string& engine, const std::string& text, const std::string& inputs);
Failure extent_invalid(const std::string& tensor, const std::string& dimension, const std::string& expression,
                       const std::string& problem, const std::string& inputs);
Failure shapes_unknown(const std::vector<std::string>& inputs);
// An extent of `output` is known only when the layers have run.
Failure size_unknown(const std::string& output);
// The user's allocator returned null.
Failure output_not_allocated(const std::string& output, uint64_t bytes);
Failure allocator_of_input(const std::string& input);
Failure no_such_profile(int64_t profile, size_t n_profiles);
Failure no_such_tensor(int64_t index, size_t n_tensors);
Failure no_such_name(const std::string& name, const std::vector<std::string>& present);
Failure argument_missing(const std::string& argument);
// A variable of the environment that is not `what`; `allowed` says which values are.
Failure environment_invalid(const std::string& variable, const std::string& value, const std::string& what,
                            const std::string& allowed);

// ---- addresses and memory
Failure addresses_missing(const std::vector<std::string>& tensors);
// Addresses of the first byte and behind the last one.
struct Extent {
  uint64_t begin, end;
};
Failure outputs_overlap(const std::string& first, Extent at, const std::string& second, Extent other);
Failure output_over_input(const std::string& output, Extent at, const std::string& input, Extent other);
// In what the user set as device_memory.
Failure io_in_memory(const std::string& tensor, Extent at, Extent memory);
Failure context_in_use(const std::string& engine, bool by_another_thread);
Failure buffer_too_small(const std::string& tensor, uint64_t given, uint64_t needed);
Failure out_of_memory(const std::string& what, uint64_t bytes);
// `layer` has the largest workspace: it may be why.
Failure no_context_memory(uint64_t bytes, const std::string& layer, const std::string& implementation,
                          uint64_t workspace_bytes);
Failure memory_missing(uint64_t bytes);
Failure memory_unusable(uint64_t given, uint64_t needed, int64_t alignment, bool is_aligned);
Failure tensor_outgrows_arena(const std::string& tensor, uint64_t bytes, uint64_t offset, uint64_t arena_bytes);
// `other`: a tensor in quotes, or "its workspace".
Failure memory_shared(const std::string& layer, const std::string& tensor, const std::string& other);
Failure stream_kind(int kind, int32_t device);

// ---- devices
// Launches are asynchronous: the next step when one of them failed.
inline constexpr const char* kFindFaultyLayer =
    "Run again with DOVETAIL_SYNC=1, which waits after every layer and names the one that failed.";
Failure no_device(const std::string& reason);
Failure no_such_device(int32_t index, int32_t n_devices);
Failure out_of_device_memory(const std::string& what, uint64_t bytes, const std::string& reason);
Failure plan_architecture(int32_t wanted, const std::string& wanted_name, int32_t present,
                          const std::string& present_name);
Failure device_differs(const std::string& layer, const std::string& implementation, int32_t planned, int32_t present);
Failure address_elsewhere(const std::string& tensor, int32_t wanted, int32_t found);
Failure capture_impossible(const std::string& layer);
Failure capture_undecided(const std::string& layer);

}  // namespace dovetail::status

#endif
