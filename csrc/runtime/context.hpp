// SPDX-License-Identifier: Apache-2.0
// One thread's execution of an engine: memory, shapes, addresses, and the flat list of calls that make up a run.
#ifndef DOVETAIL_RUNTIME_CONTEXT_HPP
#define DOVETAIL_RUNTIME_CONTEXT_HPP

#include <pthread.h>

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "runtime/engine.hpp"
#include "runtime/float_mode.hpp"
#include "runtime/interrupt.hpp"
#include "runtime/io_overlap.hpp"
#include "runtime/memory.hpp"

namespace dovetail {

// Inputs and outputs are counted together, inputs first ("io"). A failed call changes nothing, and the context can be
// used on. One thread at a time: a call while another thread is inside one throws Failure (DT_BINDING), and so does a
// call that changes something from within an execution, by a plugin or an output allocator.
class Context : private MemoryOwners {
 public:
  enum class Use { kLook, kChange, kRun };
  // Locks the context for the calling thread while it lives. Throws Failure if another thread has it.
  class InUse {
   public:
    InUse(Context* context, Use use) : context_(*context), runs_(use == Use::kRun) {
      const auto me = reinterpret_cast<uintptr_t>(reinterpret_cast<void*>(pthread_self()));
      uintptr_t owner = 0;
      is_first_ = context_.owner_.compare_exchange_strong(owner, me, std::memory_order_acquire);
      if (!is_first_ && (owner != me || (context_.is_running_ && use != Use::kLook))) [[unlikely]]
        context_.refuse(owner != me);
      if (runs_) context_.is_running_ = true;
    }
    ~InUse() {
      if (runs_) context_.is_running_ = false;
      if (is_first_) context_.owner_.store(0, std::memory_order_release);
    }
    InUse(const InUse&) = delete;
    InUse& operator=(const InUse&) = delete;

   private:
    Context& context_;
    const bool runs_;
    bool is_first_;
  };

  Context(std::shared_ptr<const Engine> engine, int profile = 0, bool own_memory = true);
  ~Context() override;
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  const Engine& engine() const { return *engine_; }
  int profile() const { return profile_; }
  // Open extents of the inputs are unknown afterwards.
  void set_profile(int profile);

  void set_input_shape(size_t input, const int64_t* dims, int rank);
  // Names of inputs whose shapes are not known yet, or their contents where they are shapes, which are read from their
  // addresses; if there are none, all shapes are now computed and checked, but for what only kernels tell.
  std::vector<std::string> infer_shapes();
  // Extents as far as they are known, else -1. Returns the rank.
  int shape(size_t io, Dims* dims);
  // Bytes with padding, in the tensor's format; throws where the shape is not known yet.
  uint64_t bytes(size_t io);
  // The largest size that it can have with the present inputs.
  uint64_t max_bytes(size_t io);

  // Sets the memory of the tensor in its format; null removes it. Running fails if the tensor needs more than `room`.
  // `owner` keeps the memory alive: held until another address takes its place, and by arrays of Python plugins.
  void set_address(size_t io, void* address, uint64_t room = UINT64_MAX, std::shared_ptr<void> owner = nullptr);
  void* address(size_t io) const { return addresses_[check_io(io)]; }

  // Called in each execution as soon as the output's extents are known, before the step that writes it: memory for so
  // many bytes at this alignment, or null; the output's address from then on. Then `notify` with the extents.
  struct OutputAllocator {
    std::function<void*(uint64_t bytes, uint64_t alignment)> allocate;
    std::function<std::shared_ptr<void>()> owner;  // of what was just allocated; may be left out
    std::function<void(const int64_t* dims, int rank)> notify;
  };
  // An allocator without functions removes it.
  void set_output_allocator(size_t output, OutputAllocator allocator);
  // As set_output_allocator; returns the one before.
  OutputAllocator exchange_output_allocator(size_t output, OutputAllocator allocator);
  bool has_output_allocator(size_t output) const { return allocators_[check_io(output)].allocate != nullptr; }
  // True if the extents are known only during an execution.
  bool is_sized_late(size_t io) const { return needed_sizes_[check_io(io)] > 0; }
  // Is an execution on the CPU nothing but its launches: no shape inputs, no late extents, no allocators?
  bool is_plain() const { return is_plain_; }

  // Memory of the engine's device. Steps that run on the CPU all the same have theirs beside it.
  uint8_t* memory() const { return memory_; }
  uint64_t memory_bytes() const { return bytes_on(engine_->device().type()); }
  // Memory of the user's, aligned to 64 (256 on CUDA); kept for profiles that need no more. Null removes it.
  void set_memory(void* memory, uint64_t bytes);

  // All work is finished when it returns. On CUDA it runs on the default stream.
  void execute() {
    const InUse in_use(this, Use::kRun);
    const FloatMode mode;
    if (!is_plain_ || is_careful_) [[unlikely]] {
      execute_and_wait();
      return;
    }
    if (!is_ready_) [[unlikely]]
      make_ready();
    run_quickly(0);
    if (!call_.allocations.empty()) [[unlikely]]
      call_.allocations.clear();
  }
  // On CUDA: enqueues everything and returns, except that it waits for the stream before steps that run on the CPU.
  // Plans for the CPU take kind 0 only.
  void execute(const dt_stream& stream);
  // As execute; nanoseconds of each step. `stream`: for plans for CUDA.
  std::vector<uint64_t> execute_profiled(void* stream = nullptr);
  // An event of the engine's device, recorded as soon as the inputs may be changed again; null removes it.
  void set_input_consumed_event(void* event);
  void* input_consumed_event() const { return consumed_event_; }
  // Wait after every layer, so that a fault names the layer. The default is true if DOVETAIL_SYNC=1 is set.
  void set_debug_sync(bool on) { is_debug_sync_ = on; }
  bool is_debug_sync() const { return is_debug_sync_; }

 private:
  struct Launch {
    dt_code (*enqueue)(void* context, const dt_run* run);
    void* context;
    const dt_run* run;
  };
  // What an execution does around each launch; one that is plain and quick does nothing.
  struct Around {
    Interruptible work;
    const FloatMode mode;
    bool changes_mode = false;
    void* stream = nullptr;
    bool waits = false;      // behind each launch
    bool is_pending = true;  // the stream has work that a step on the CPU must wait for
    std::function<void(size_t step)> after_step;
  };
  // A step that owns blocks: what its launch is given.
  struct ControlState {
    struct Carried {
      int32_t initial, before, after, result;
      std::vector<int32_t> before_views, after_views;  // tensors in their memory
    };
    Context* context;
    int32_t step;
    std::vector<Carried> carried;
    // Of a number on the device, or left there by a step on the device: its copy, and when that is there.
    uint8_t* number = nullptr;
    std::unique_ptr<DeviceEvent> is_there;
    bool is_fetched_early = false;  // as soon as it is written
  };

  std::shared_ptr<void> owner_of(const void* data) const override;
  void abandon(const dt_run* run, const std::vector<MemoryRange>& kept) override;

  [[noreturn]] void refuse(bool by_another_thread) const;
  size_t check_io(size_t io) const;
  const PlanTensor& tensor_of(size_t io) const;
  std::shared_ptr<Memory> memory_for(int profile, uint64_t bytes) const;
  void make_views();
  void make_launches();
  void make_run(size_t step);
  void make_controls();
  void forget_shapes();
  void read_contents();
  void forget_sizes();
  void learn_sizes(size_t step);
  void check_written(size_t step);
  void find_if_plain();
  bool is_known();
  void resolve_shapes();
  void place_memory();
  void make_ready();
  void settle();
  void execute_and_wait();
  void execute_carefully();
  void put_address(size_t io, void* address, uint64_t room, std::shared_ptr<void> owner);
  std::vector<std::string> missing_shapes();
  std::vector<uint64_t> execute_timed(void* stream);
  void enqueue_all(void* stream, std::function<void(size_t)> after_step = {});
  // The launches of a block, one after the other.
  void run_quickly(size_t block) {
    const Launch* const end = launches_.data() + first_launches_[block + 1];
    for (const Launch* launch = launches_.data() + first_launches_[block]; launch != end; ++launch) {
      const dt_code code = launch->enqueue(launch->context, launch->run);
      if (code != DT_OK) [[unlikely]]
        fail(launched_steps_[static_cast<size_t>(launch - launches_.data())], code, "enqueue");
    }
  }
  void run_around(size_t block, Around* around);
  void run_block(size_t block);
  // Those of blocks.cpp: what steps with blocks do.
  static dt_code enqueue_control(void* control, const dt_run* run);
  void run_loop(ControlState* control);
  int64_t number_of(ControlState* control);
  void fetch_number(ControlState* control);
  void copy_tensor(int32_t to, int32_t from);
  void change_places(const ControlState::Carried& carried);
  int32_t first_waiting_control() const;
  void wait_for_stream();
  uint64_t bytes_on(int32_t device) const;
  void prepare_io();
  void check_addresses();
  void check_place(size_t io);
  void tell_shapes(size_t first);
  [[noreturn]] void fail(size_t step, dt_code code, const char* method);

  std::atomic<uintptr_t> owner_{0};  // the thread that has locked it, 0: none
  bool is_running_ = false;          // of the thread that has it

  std::shared_ptr<const Engine> engine_;
  int profile_ = 0;
  bool is_ready_ = false;          // everything below is computed, and the layers were told
  bool is_settled_ = false;        // the same without addresses, which change with each call that takes arrays
  bool are_shapes_valid_ = false;  // shapes_ follows from leaves_
  bool is_plain_ = false;
  bool is_careful_ = true;  // not known to be short with the present shapes, or a step changes the float mode

  Leaves leaves_;    // extents and contents of the inputs, and sizes: those from n_known_ on are bounds
  int n_known_ = 0;  // sizes that were told in this execution
  std::vector<char> is_input_known_;
  std::vector<int> needed_sizes_;            // per io: when that many are known, so are its extents
  std::vector<char> is_io_ready_;            // per io: it has an address that was checked
  std::vector<OutputAllocator> allocators_;  // per io
  PlanShapes shapes_;                        // of the views; its addresses never change
  PlanShapes next_;                          // computed here, then copied if all is well

  IoOverlap overlap_;

  const bool own_memory_;
  std::shared_ptr<Memory> owned_ = std::make_shared<Memory>();                     // of plans for the CPU
  std::shared_ptr<DeviceMemory> device_owned_ = std::make_shared<DeviceMemory>();  // of plans for CUDA
  // Of their steps on the CPU, and for copies between both.
  std::shared_ptr<PinnedMemory> staging_ = std::make_shared<PinnedMemory>();
  uint8_t* memory_ = nullptr;
  uint64_t given_bytes_ = 0;                    // size of the user's memory; 0: memory_ is not the user's
  std::vector<void*> addresses_;                // per io
  std::vector<uint64_t> rooms_;                 // bytes behind each address
  std::vector<std::shared_ptr<void>> owners_;   // what keeps them alive, where that is known
  std::vector<std::vector<int32_t>> io_views_;  // tensors whose memory it is, per io

  std::vector<dt_tensor> views_;  // per tensor of the plan
  std::vector<int32_t> homes_;    // per tensor: the one at whose offset it lies now, itself but for what loops carry
  std::vector<const dt_tensor*> pointers_;
  std::vector<dt_run> runs_;
  std::deque<EpilogueTable> epilogues_;
  std::vector<char> is_told_;  // per step: shape_changed was called for the present shapes
  std::vector<std::unique_ptr<LayerContext>> layers_;
  std::vector<Launch> launches_;        // those of a block beside each other, blocks as in the plan
  std::vector<size_t> first_launches_;  // per block, and their number
  std::vector<size_t> launched_steps_;  // per launch
  std::deque<ControlState> controls_;
  std::vector<std::vector<ControlState*>> fetches_;  // per step: numbers that it leaves; empty where nothing is fetched
  std::vector<ControlState*> fetched_first_;         // those that no step writes
  PinnedMemory numbers_;
  Around* around_ = nullptr;  // of this execution
  dt_stream stream_;
  const dt_stream no_stream_;       // for steps on the CPU in a plan for CUDA
  int32_t first_cpu_step_ = -1;     // in a plan for CUDA
  int32_t last_reading_step_ = -1;  // the last one that reads an input
  void* consumed_event_ = nullptr;
  bool is_debug_sync_;
  bool has_told_of_kept_ = false;  // the message is logged once
  Call call_;
};

}  // namespace dovetail

#endif
