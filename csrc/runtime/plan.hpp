// SPDX-License-Identifier: Apache-2.0
// A plan in memory: the contents of the JSON, with every number verified. No plugin is called here.
#ifndef DOVETAIL_RUNTIME_PLAN_HPP
#define DOVETAIL_RUNTIME_PLAN_HPP

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "runtime/container.hpp"
#include "runtime/dims.hpp"
#include "runtime/epilogue.hpp"
#include "runtime/object.hpp"
#include "runtime/status.hpp"

namespace dovetail {

enum class Where { kInput, kOutput, kConstant, kArena, kAlias };

// An extent: a number, or the program that computes it (then value is -1).
struct Extent {
  int64_t value = -1;
  int32_t program = -1;
};

struct PlanTensor {
  std::string name;
  int32_t data_type = 0, format = 0;
  float scale = -1;
  int32_t rank = 0;
  Extent dims[DT_MAX_RANK];
  std::string dim_names[DT_MAX_RANK];  // "" if it has no name
  int32_t device = DT_DEVICE_CPU;
  Where where = Where::kArena;
  int32_t constant = -1;  // of a constant whose packed form is all that the plan has: -1
  int32_t alias_of = -1;
  int64_t alias_at = 0;        // where it begins in the memory of that tensor, in bytes
  std::vector<int32_t> parts;  // aliases of this one that steps write, ascending; together they are all of it
  int32_t root = -1;           // the tensor whose memory it is: itself, or the end of the alias chain
  int64_t root_at = 0;         // where it begins there
  int32_t partner = -1;        // with which it changes places after each iteration of a loop

  bool is_static() const;
  // "batch", or "0" if it has no name.
  std::string dim_name(int axis) const;
};

struct PlanConstant {
  std::string name;
  const uint8_t* data = nullptr;  // null: what `step` packs when the plan is loaded
  uint64_t bytes = 0;
  int32_t step = -1;
};

// How a constant follows from weights of the network: a list in which each entry stands behind those it was made from.
struct PlanOrigin {
  enum class How {
    kGiven,      // the weights `role` of `layer`, as they were given
    kConverted,  // into `data_type`
    kFolded,     // what `by` made of them for `layer`
    kPacked      // by `step`
  };
  How how = How::kGiven;
  std::string layer, role, by;
  std::string not_refittable;  // why the same steps cannot be repeated with new weights; "" if they can
  int32_t data_type = -1, step = -1;
  int32_t tensor = -1;      // whose contents these are; -1: only what others were made from
  std::vector<int32_t> of;  // earlier entries
};

// How a step runs its blocks.
enum class Control {
  kNone,         // it has none, and is computed by an implementation
  kConditional,  // inputs: the condition; the first of its two blocks if that is not 0, else the second
  kLoop          // inputs: how often, or -1, and what is carried; its block again and again
};

// A list of steps with tensors of its own: the network itself, a branch, the body of a loop. What its steps write can
// be taken in it and in the blocks of its steps, and nowhere else.
struct PlanBlock {
  int32_t owner = -1, depth = 0;  // a step; -1, 0: the main block
  std::vector<int32_t> steps;     // without those of blocks in it
  std::vector<int32_t> inputs;    // of a loop: what is carried, as the last iteration left it
  std::vector<int32_t> outputs;   // of a loop: as this iteration leaves it; of a branch: the step's outputs
};

struct PlanStep {
  std::string layer, op, implementation, row;
  int32_t tactic = 0;
  std::vector<FieldValue> fields;
  int32_t state = -1, packed = -1;  // constants
  std::vector<int32_t> inputs;      // tensors; -1 is an absent optional input; the last n_operands are the epilogue's
  std::vector<int32_t> outputs;
  bool is_python = false;
  int32_t device = DT_DEVICE_CPU;
  EpilogueProgram epilogue;
  size_t n_operands = 0;
  Control control = Control::kNone;
  std::vector<int32_t> blocks;  // its own
  int64_t n_iterations = -1;    // of a loop without a tensor that says it
  int32_t block = 0;            // that it is in
  int32_t outer = -1;           // the step of the main block that it is, or is in
  int32_t end = -1;             // behind the last step of its blocks: the next one of its own block

  bool is_control() const { return control != Control::kNone; }
  size_t n_own_inputs() const { return inputs.size() - n_operands; }
};

// Tensors of one kind of device that share memory.
struct PlanArena {
  uint64_t bytes = 0, lower_bound = 0;
};

struct PlanProfile {
  Leaves min, opt, max;  // sizes: 0, and the bounds
  PlanArena cpu_arena, cuda_arena;
  std::vector<int64_t> offsets;            // per tensor, in the arena of its device; -1: in none
  std::vector<int64_t> workspace_offsets;  // per step, in the arena of its device
  std::vector<uint64_t> workspace_bytes;   // per step

  const PlanArena& arena(int32_t device) const { return device == DT_DEVICE_CUDA ? cuda_arena : cpu_arena; }
};

struct PlanConstraint {
  int32_t program;
  std::string text;
};

// An extent that is known when a step has run: it writes it to a tensor without dims.
struct PlanSize {
  int32_t tensor, step;
  int32_t upper;  // a program; it looks up earlier sizes at most
};

struct PlanRequirement {
  std::string hash;
  status::Provider provider;
};

class ThreadPool;

struct Plan {
  std::string name, producer, json;
  int32_t device = DT_DEVICE_CPU;  // the one it was built for; single steps may run on the CPU all the same
  int32_t sm = 0;                  // compute capability of that device, 90
  std::string device_name;
  std::vector<std::string> isa;
  std::unordered_map<std::string, PlanRequirement> requirements;  // by implementation
  std::vector<DimsProgram> programs;
  std::vector<int> needed_sizes;       // per program
  std::vector<int32_t> program_order;  // by needed sizes: each behind the bounds of the sizes that it looks up
  std::vector<PlanConstraint> constraints;
  LeafCounts leaves;
  std::vector<PlanSize> sizes;  // in the order of their steps
  std::vector<PlanTensor> tensors;
  std::vector<int32_t> inputs, outputs;
  std::vector<PlanProfile> profiles;
  std::vector<PlanStep> steps;    // of all blocks, each in front of those of its own blocks
  std::vector<PlanBlock> blocks;  // the main block is the first
  std::vector<PlanConstant> constants;
  std::vector<PlanOrigin> origins;
  FileBytes bytes;           // constants point into it
  std::string_view report;   // as the file has it
  std::string older_report;  // in plans of earlier versions

  // The tensor of an input (0..) or output (after the inputs).
  int32_t io_tensor(size_t index) const {
    return index < inputs.size() ? inputs[index] : outputs[index - inputs.size()];
  }
  // Null where the plan does not list it.
  const PlanRequirement* requirement_of(const std::string& implementation) const;
  size_t n_io() const { return inputs.size() + outputs.size(); }
  bool is_shape_input(size_t input) const { return leaves.contents[input] > 0; }
  // True if it is a constant that is in the plan in packed form only.
  bool is_packed_only(int32_t tensor) const {
    const PlanTensor& root = tensors[static_cast<size_t>(tensors[static_cast<size_t>(tensor)].root)];
    return root.where == Where::kConstant && root.constant < 0;
  }
  // Sizes that have to be known before all extents of the tensor are.
  int needed_sizes_of(int32_t tensor) const;
  // "tokens.batch + 2": a program as messages print it.
  std::string text_of(const Extent& extent) const;
  // "x [1, 3], y [4]"; of inputs that are shapes, the contents, too.
  std::string inputs_text(const Leaves& leaves) const;
};

// Throws Failure: DT_PLAN_CORRUPT naming the field, DT_PLAN_VERSION for another major, machine, device or missing ISA.
// One thread of the pool computes the checksum meanwhile; where that differs, nothing else is said.
std::shared_ptr<const Plan> read_plan(FileBytes bytes, ThreadPool* pool);

// Everything that is computed from the extents of the inputs.
struct PlanShapes {
  ProgramResults programs;
  std::vector<Dims> dims;       // per tensor
  std::vector<uint64_t> bytes;  // per tensor, with padding
};
// Lets sizes from `n_known` on be their upper bounds, as far as they have one. Uses *results.
void bound_sizes(const Plan& plan, int n_known, Leaves* leaves, ProgramResults* results);
// The results of all programs.
void evaluate_programs(const Plan& plan, const Leaves& leaves, ProgramResults* results);
// The values that they can have between two ends. Sizes are looked up in `high`, where the function
// writes their bounds.
std::vector<Interval> bound_programs(const Plan& plan, const Leaves& low, Leaves* high);

// Sizes from `n_known` on are upper bounds: an extent that makes no sense with one is 0 then.
// Throws Failure: DT_SHAPE naming tensor and dimension, DT_PLAN_CORRUPT where a tensor would not fit into the memory
// that the profile gives it. Allocates only the first time.
void evaluate_shapes(const Plan& plan, const PlanProfile& profile, const Leaves& leaves, int n_known,
                     PlanShapes* shapes);
// Throws Failure (DT_SHAPE) with the text of the first constraint that does not hold, of those that are decided.
void check_constraints(const Plan& plan, const Leaves& leaves, int n_known, const PlanShapes& shapes);

}  // namespace dovetail

#endif
