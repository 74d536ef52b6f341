// SPDX-License-Identifier: Apache-2.0
// A loaded plan, with a configured object for each step. Does not change after load; contexts share it.
#ifndef DOVETAIL_RUNTIME_ENGINE_HPP
#define DOVETAIL_RUNTIME_ENGINE_HPP

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "runtime/device.hpp"
#include "runtime/library.hpp"
#include "runtime/memory.hpp"
#include "runtime/object.hpp"
#include "runtime/output_rule.hpp"
#include "runtime/plan.hpp"
#include "runtime/thread_pool.hpp"

namespace dovetail {

class Engine {
 public:
  // The bytes must not change while the engine lives. device: for a plan for CUDA, -1 is the calling thread's current
  // one. Throws Failure.
  static std::shared_ptr<Engine> load(FileBytes bytes, const ThreadOptions& threads = {}, int device = -1);
  // Does everything that load does except packing constants and copying them to the device. A plan that passes
  // can be loaded.
  static void check(FileBytes bytes, const ThreadOptions& threads = {}, int device = -1);
  static std::shared_ptr<Engine> load(const std::string& path, const ThreadOptions& threads = {}, int device = -1);

  const Plan& plan() const { return *plan_; }
  int n_threads() const { return pool_->n_threads(); }
  const ThreadPool& pool() const { return *pool_; }
  const Device& device() const { return device_; }  // the one it was built for; single steps may run on the CPU

  struct Step {
    ImplementationEntry entry;
    std::vector<uint8_t> state;              // a copy of what the object was loaded from, where there is one
    BoundImplementation bound;               // holds the object; empty where the step runs blocks
    std::shared_ptr<const OutputRule> rule;  // null where no table of the library describes the op
  };
  const std::vector<Step>& steps() const { return steps_; }
  // "" if the step's op computes these extents of its outputs from those of its inputs, else the difference.
  std::string refusal(size_t step, const std::vector<Dims>& dims) const;

  // Memory of a context: the plan's arenas and behind them what steps need beyond the plan's workspaces (more threads
  // than at build, or another version of the library).
  struct Workspace {
    uint64_t offset = 0, bytes = 0;
  };
  struct Memory {
    uint64_t cpu_bytes = 0, cuda_bytes = 0;
    std::vector<Workspace> workspaces;  // per step, in the memory of its device
  };
  const Memory& memory(int profile) const { return memory_[static_cast<size_t>(profile)]; }
  // Side structs of the tensor views, per tensor of the plan.
  const dt_layout* layout(int32_t tensor) const { return &layouts_[static_cast<size_t>(tensor)]; }
  // Where a constant lies for steps on this device.
  const uint8_t* constant(int32_t index, int32_t device) const;
  // Where the contents of a tensor that is a constant lie; null where each step that takes it has it packed.
  const uint8_t* contents(int32_t tensor) const;
  // What the row of a step makes of its constants now. They must be in the plan. Throws Failure.
  Emitted pack(size_t index) const;

 private:
  Engine() = default;
  static std::shared_ptr<Engine> make(FileBytes bytes, const ThreadOptions& threads, int device);
  void make_step(const PlanStep& step);
  void make_object(const PlanStep& step, Step* made) const;
  void check_rules(const PlanProfile& profile) const;
  void choose_device(int index);
  void find_read_constants();
  void pack_constants();
  void pack_constant(size_t index, const std::vector<dt_desc>& descs, SharedMemory* shared);
  Emitted pack(size_t index, const std::vector<dt_desc>& descs, SharedMemory* shared, uint64_t bytes) const;
  void upload_constants();
  void check_epilogue(size_t index, const Descs& own, const std::vector<dt_desc>& all) const;
  const uint8_t* on_host(size_t constant) const;
  void plan_memory(const PlanProfile& profile, const std::vector<dt_desc>& descs);
  std::vector<dt_desc> describe(const PlanProfile& profile) const;
  Descs descs_of(const PlanStep& step, const std::vector<dt_desc>& all) const;

  std::shared_ptr<const Plan> plan_;  // outlives the objects, which may borrow its constants
  std::shared_ptr<ThreadPool> pool_;
  Device device_;
  std::vector<char> is_read_;    // per tensor that is a constant: does a step read its contents?
  std::vector<Emitted> packed_;  // per constant: what was packed when the plan was loaded
  DeviceMemory device_constants_;
  std::vector<int64_t> constant_offsets_;  // per constant, in device_constants_; -1: not on the device
  std::vector<dt_layout> layouts_;
  std::vector<Memory> memory_;
  std::vector<Step> steps_;
};

}  // namespace dovetail

#endif
