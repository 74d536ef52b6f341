// SPDX-License-Identifier: Apache-2.0
// One step run outside of an engine: for constant folding, tests and timing.
#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>

#include "bindings/device_buffer.hpp"
#include "bindings/guarded.hpp"
#include "bindings/native.hpp"
#include "bindings/trial.hpp"
#include "runtime/checksum.hpp"
#include "runtime/device.hpp"
#include "runtime/float_mode.hpp"
#include "runtime/interrupt.hpp"
#include "runtime/layout.hpp"
#include "runtime/status.hpp"
#include "runtime/thread_pool.hpp"

namespace dovetail {
namespace {

// Memory of the user's: a numpy array, anything with the buffer protocol, or memory of the device that trials share.
class Buffer {
 public:
  Buffer(const py::object& given, bool is_output, const std::string& name) : owner_(given) {
    if (py::isinstance<DeviceBuffer>(given)) {
      const auto& shared = given.cast<const DeviceBuffer&>();
      data_ = shared.data();
      bytes_ = shared.bytes();
      is_on_device_ = true;
      return;
    }
    if (py::isinstance<py::array>(given)) {
      const auto array = py::reinterpret_borrow<py::array>(given);
      check(array.flags() & py::array::c_style, name, "is not contiguous");
      check(!is_output || array.writeable(), name, "is read-only");
      data_ = const_cast<void*>(array.data());
      bytes_ = static_cast<uint64_t>(array.nbytes());
      return;
    }
    if (PyObject_GetBuffer(given.ptr(), &view_, is_output ? PyBUF_WRITABLE : PyBUF_SIMPLE) != 0) {
      throw py::error_already_set();
    }
    data_ = view_.buf;
    bytes_ = static_cast<uint64_t>(view_.len);
  }
  ~Buffer() {
    if (view_.obj) PyBuffer_Release(&view_);
  }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  void* data() const { return data_; }
  uint64_t bytes() const { return bytes_; }
  bool is_on_device() const { return is_on_device_; }

 private:
  static void check(bool is_fine, const std::string& name, const char* wrong) {
    if (!is_fine) throw Failure{DT_BINDING, "the buffer of " + name + " " + wrong, {}, ""};
  }

  py::object owner_;
  Py_buffer view_ = {};
  void* data_ = nullptr;
  uint64_t bytes_ = 0;
  bool is_on_device_ = false;
};

std::string tactic_of(const BoundImplementation& bound) {
  return bound.row && bound.row->tactic ? bound.row->tactic : "";
}

std::string in_layer(const BoundImplementation& bound) {
  const std::string& layer = bound.object->layer();
  return layer.empty() ? "" : " in layer '" + layer + "'";
}

// What the exception has for attributes where a kernel wrote what it may not; `guard` tells it from other failures.
std::vector<std::pair<std::string, std::string>> broken_guard(const BoundImplementation& bound) {
  return {{"plugin", bound.subject},
          {"layer", bound.object->layer()},
          {"method", "enqueue"},
          {"tactic", tactic_of(bound)},
          {"guard", "red zone"}};
}

// The tensors of one side of a step; for a device other than the CPU, in memory there with what the buffers hold, and
// those that its row leaves on the CPU in host memory that the device reaches. `guarded`: on copies of the buffers
// between red zones.
class StepTensors {
 public:
  // `side`: the row's words, which may leave a tensor on the CPU.
  StepTensors(const py::sequence& given, bool are_outputs, const std::string& subject, const Device& device,
              const RowSide& side, bool guarded)
      : device_(device), are_outputs_(are_outputs), guarded_(guarded) {
    const char* noun = are_outputs ? "output " : "input ";
    for (const py::handle item : given) {
      if (item.is_none() && !are_outputs) {
        pointers_.push_back(nullptr);
        continue;
      }
      const auto pair = py::cast<py::sequence>(item);
      const size_t place = pointers_.size();
      const bool on_cpu = !side.on_cpu.empty() && side.on_cpu[std::min(place, side.on_cpu.size() - 1)];
      add(pair[0], pair[1], are_outputs, noun + std::to_string(place) + " of " + subject, on_cpu);
    }
  }
  void upload(void* stream) const {
    for (const Tensor& t : tensors_)
      if (t.mirror) device_.copy(t.mirror, t.host(), t.host_bytes(), stream);
  }
  void download(void* stream) const {
    for (const Tensor& t : tensors_)
      if (t.mirror) device_.copy(t.host(), t.mirror, t.host_bytes(), stream);
  }
  // After the run, with everything on the host: throws where a kernel wrote beside an output or into an input, and
  // hands outputs over.
  void settle(const BoundImplementation& bound, const std::string& plugin) const {
    for (const Tensor& t : tensors_) {
      if (!t.guarded) continue;
      const std::string beside = t.guarded.trespass();
      if (!beside.empty()) throw trespass(bound, plugin, t, beside);
      if (are_outputs_ && t.bytes) std::memcpy(t.buffer->data(), t.guarded.data(), t.bytes);
      if (are_outputs_ || !t.bytes) continue;
      const auto* before = static_cast<const uint8_t*>(t.buffer->data());
      if (std::memcmp(before, t.guarded.data(), t.bytes) == 0) continue;
      const auto changed = std::mismatch(before, before + t.bytes, t.guarded.data()).first - before;
      throw trespass(bound, plugin, t, "into it, at byte " + std::to_string(changed));
    }
  }
  // Hands `visit` the memory of each tensor that the kernel gets, and whether it is a constant's.
  template <class Visit>
  void each(Visit&& visit) const {
    for (const Tensor& t : tensors_)
      if (t.bytes && t.tensor.data)
        visit(static_cast<uint8_t*>(t.tensor.data), t.bytes, (t.layout.flags & DT_TENSOR_CONSTANT) != 0);
  }
  // Those of the first `n` that are constants and lie nowhere for the kernel, because it has them packed.
  void take_away(uint64_t replaced, size_t n) {
    for (size_t i = 0; i < n && i < 64; ++i)
      if (replaced >> i & 1 && pointers_[i] && pointers_[i]->layout->flags & DT_TENSOR_CONSTANT)
        pointers_[i]->data = nullptr;
  }
  const dt_tensor* const* data() const { return pointers_.data(); }
  uint32_t size() const { return static_cast<uint32_t>(pointers_.size()); }

 private:
  struct Tensor {
    std::unique_ptr<DescArray> desc;
    std::unique_ptr<Buffer> buffer;
    Guarded guarded;
    std::string name, text;  // "output 0"; "Float [2, 3]"
    uint64_t bytes = 0;
    DeviceMemory device_memory;
    PinnedMemory pinned_memory;
    void* mirror = nullptr;  // one of both, where the kernel does not work on the buffer itself
    dt_layout layout = {};
    dt_tensor tensor = {};
    int64_t shape[DT_MAX_RANK] = {};

    void* host() const { return guarded ? guarded.whole() : buffer->data(); }
    uint64_t host_bytes() const { return guarded ? guarded.whole_bytes() : bytes; }
  };

  static Failure trespass(const BoundImplementation& bound, const std::string& plugin, const Tensor& t,
                          const std::string& how) {
    const std::string tactic = tactic_of(bound);
    return Failure{
        DT_PLUGIN_FAILED,
        bound.subject + (tactic.empty() ? "" : ":" + tactic) + " wrote outside of its outputs" + in_layer(bound),
        {{t.name, t.text + ", " + std::to_string(t.bytes) + " bytes"},
         {"written", how},
         {"plugin", plugin.empty() ? "written in Python" : plugin}},
        "enqueue may write the elements of its outputs and its workspace, and nothing else; dims are in outputDesc.",
        {},
        broken_guard(bound)};
  }

  void add(const py::object& desc, const py::object& buffer, bool is_output, const std::string& name, bool on_cpu) {
    Tensor& made = tensors_.emplace_back();
    made.desc = std::make_unique<DescArray>(py::sequence(py::make_tuple(desc)));
    made.buffer = std::make_unique<Buffer>(buffer, is_output, name);
    const dt_desc& d = *made.desc->pointers().at(0);
    const std::string text = tensor_text(d.data_type, d.format, d.dims, d.ndim);
    uint64_t needed = 0;
    if (!tensor_bytes(d.dims, d.ndim, d.data_type, d.format, &needed)) {
      throw Failure{DT_BINDING, name + " cannot be " + text, {{"size", "not known, or not possible"}}, ""};
    }
    if (made.buffer->bytes() < needed) {
      throw Failure{
          DT_BINDING,
          "the buffer of " + name + " is too small",
          {{text, std::to_string(needed) + " bytes"}, {"buffer", std::to_string(made.buffer->bytes()) + " bytes"}},
          ""};
    }
    const TypeInfo& type = *type_info(d.data_type);
    made.layout = {DT_HDR(dt_layout), d.data_type, d.format, d.scale, d.flags};
    std::copy(d.dims, d.dims + d.ndim, made.shape);
    made.tensor.data = made.buffer->data() ? made.buffer->data() : made.shape;  // empty: any address will do
    made.bytes = needed;
    made.tensor.device_type = DT_DEVICE_CPU;
    if (guarded_) {
      made.name = name.substr(0, name.find(" of "));
      made.text = text;
      made.guarded = Guarded(needed, name);
      if (needed) std::memcpy(made.guarded.data(), made.buffer->data(), needed);
      made.tensor.data = made.guarded.data();
    }
    const uint64_t room = std::max(made.host_bytes(), kDeviceAlignment);
    if (made.buffer->is_on_device()) {
      if (device_.is_cpu() || on_cpu || guarded_)
        throw Failure{DT_BINDING, name + " cannot be in the memory of a device here", {}, ""};
      made.tensor.device_type = device_.type();
      made.tensor.device_id = device_.index();
    } else if (!device_.is_cpu() && on_cpu) {
      made.pinned_memory = PinnedMemory(device_, room, name.c_str());
      made.mirror = made.pinned_memory.data();
    } else if (!device_.is_cpu()) {
      made.device_memory = DeviceMemory(device_, room, name.c_str());
      made.mirror = made.device_memory.data();
      made.tensor.device_type = device_.type();
      made.tensor.device_id = device_.index();
    }
    if (made.mirror) made.tensor.data = static_cast<uint8_t*>(made.mirror) + (guarded_ ? Guarded::kBefore : 0);
    made.tensor.ndim = d.ndim;
    made.tensor.type_code = type.dlpack_code;
    made.tensor.type_bits = static_cast<uint8_t>(type.bits);
    made.tensor.type_lanes = 1;
    made.tensor.shape = made.shape;
    made.tensor.layout = &made.layout;
    pointers_.push_back(&made.tensor);
  }

  Device device_;
  bool are_outputs_, guarded_;
  std::deque<Tensor> tensors_;
  std::vector<dt_tensor*> pointers_;
};

// Scratch and packed constants of one step, in the memory of its device.
class StepMemory {
 public:
  StepMemory(const Device& device, const BoundImplementation& bound, uint64_t workspace_bytes, const py::object& packed)
      : device_(device),
        packed_source_(packed.is_none() ? nullptr : new Buffer(packed, false, "what prepare emitted")) {
    if (workspace_bytes) make_workspace(bound, workspace_bytes);
    packed_bytes = packed_source_ ? packed_source_->bytes() : 0;
    if (!packed_bytes) return;
    if (reinterpret_cast<uintptr_t>(packed_source_->data()) % kAlignment != 0) {  // bytes objects of Python
      packed_copy_ = AlignedMemory(packed_bytes, "packed constants");
      std::memcpy(packed_copy_.get(), packed_source_->data(), packed_bytes);
    }
    packed_sum_ = checksum(host_packed(), packed_bytes);
    if (!device.is_cpu()) device_packed_ = DeviceMemory(device, packed_bytes, "packed constants");
  }
  void upload(void* stream) const {
    if (device_packed_.data()) device_.copy(device_packed_.data(), host_packed(), packed_bytes, stream);
  }
  // Throws where a kernel wrote more than it had asked for: there is nothing behind a workspace here, but in a plan
  // there is. On the CPU.
  void check(const BoundImplementation& bound, uint64_t workspace_bytes) const {
    const std::string beside = scratch_ ? scratch_.trespass() : "";
    if (!beside.empty()) {
      throw Failure{DT_PLUGIN_FAILED,
                    bound.subject + " wrote outside of its workspace" + in_layer(bound),
                    {{"workspace", std::to_string(workspace_bytes) + " bytes, as it asked for"}, {"written", beside}},
                    "What its workspace function returns is too little for these extents.",
                    {},
                    broken_guard(bound)};
    }
    if (packed_bytes && checksum(host_packed(), packed_bytes) != packed_sum_) {
      throw Failure{DT_PLUGIN_FAILED,
                    bound.subject + " wrote into its packed constants" + in_layer(bound),
                    {},
                    "They are shared by all contexts.",
                    {},
                    broken_guard(bound)};
    }
  }
  void* workspace() const {
    return !device_.is_cpu() ? static_cast<void*>(device_scratch_.data()) : scratch_ ? scratch_.data() : nullptr;
  }
  const void* packed() const { return device_.is_cpu() ? host_packed() : device_packed_.data(); }

  uint64_t packed_bytes = 0;

 private:
  const void* host_packed() const {
    return packed_copy_ ? packed_copy_.get() : packed_source_ ? packed_source_->data() : nullptr;
  }
  void make_workspace(const BoundImplementation& bound, uint64_t bytes) {
    const std::string what =
        "the workspace that " + bound.subject +
        (bound.object->layer().empty() ? "" : " asks for in layer '" + bound.object->layer() + "'");
    try {
      if (device_.is_cpu()) scratch_ = Guarded(bytes, what);
      if (!device_.is_cpu()) device_scratch_ = DeviceMemory(device_, bytes, what.c_str());
    } catch (Failure& failure) {
      failure.attributes = {
          {"plugin", bound.subject}, {"layer", bound.object->layer()}, {"method", "getWorkspaceSize"}};
      throw;
    }
  }

  Device device_;
  std::unique_ptr<Buffer> packed_source_;
  Guarded scratch_;
  AlignedMemory packed_copy_;  // null where the source is aligned
  uint64_t packed_sum_ = 0;    // as it was before any run
  DeviceMemory device_scratch_, device_packed_;
};

// All memory of a step, as one: arrays that a Python plugin keeps keep it alive. Repeated runs use it again.
struct StepOwner final : MemoryOwners {
  std::shared_ptr<void> all;
  std::shared_ptr<void> owner_of(const void*) const override { return all; }
  void abandon(const dt_run*, const std::vector<MemoryRange>&) override {}
};

struct StepParts {
  StepTensors ins, outs;
  StepMemory memory;
};

RowSide side_of(const BoundImplementation& bound, bool is_output) {
  RowSide inputs, outputs;
  std::string error;
  if (bound.row) parse_row(bound.row->formats ? bound.row->formats : "linear", true, &inputs, &outputs, &error);
  return is_output ? outputs : inputs;
}

}  // namespace

EpilogueProgram epilogue_of(const py::object& given, size_t n_tensors) {
  EpilogueProgram program;
  const auto pair = py::cast<py::tuple>(given);
  program.result_type = py::cast<int32_t>(pair[0]);
  for (const py::handle item : py::cast<py::sequence>(pair[1])) {
    const auto entry = py::cast<py::sequence>(item);
    dt_step step = {};
    step.h = DT_HDR(dt_step);
    step.operation = py::cast<int32_t>(entry[0]);
    step.layer = py::cast<int32_t>(entry[1]);
    step.data_type = py::cast<int32_t>(entry[2]);
    for (const py::handle operand : py::cast<py::sequence>(entry[3])) {
      if (step.n_operands == 3) throw Failure{DT_INVALID_ARGUMENT, "a step has at most 3 operands", {}, ""};
      const auto one = py::cast<py::sequence>(operand);
      const int32_t k = step.n_operands++;
      step.operand_kind[k] = py::cast<int32_t>(one[0]);
      if (step.operand_kind[k] == DT_OPERAND_CONSTANT)
        step.operand_constant[k] = py::cast<float>(one[1]);
      else
        step.operand_index[k] = py::cast<int32_t>(one[1]);
    }
    program.steps.push_back(step);
  }
  if (const std::string wrong = program.problem(n_tensors); !wrong.empty())
    throw Failure{DT_INVALID_ARGUMENT, "the epilogue cannot be computed: " + wrong, {}, ""};
  return program;
}

// What a trial is made of. The context goes first: it is a plugin's, which may look at the rest.
struct Trial::State {
  State(const NativeImplementation& self, const ObjectPointer& object, int32_t row, const py::sequence& inputs,
        const py::sequence& outputs, const py::object& packed, uint64_t workspace, int32_t n_threads, bool is_guarded,
        const py::object& epilogue, size_t n_operands_)
      : keep(self.keep),
        bound(bind_object(self, object, row)),
        plugin(self.plugin),
        on_cpu(self.table->device == DT_DEVICE_CPU),
        guarded(is_guarded),
        device(on_cpu ? Device() : find_device(self.table->device, -1)),
        workspace_bytes(workspace),
        parts(new StepParts{{inputs, false, self.id, device, side_of(bound, false), guarded},
                            {outputs, true, self.id, device, side_of(bound, true), guarded},
                            {device, bound, workspace_bytes, packed}}),
        pool(ThreadPool::shared(n_threads)),
        n_operands(static_cast<uint32_t>(n_operands_)) {
    if (n_operands_ > parts->ins.size())
      throw Failure{DT_INVALID_ARGUMENT, self.id + " cannot have more operands than inputs", {}, ""};
    if (!epilogue.is_none()) program = epilogue_of(epilogue, n_operands_);
    if (parts->memory.packed_bytes && bound.row && DT_HAS(dt_row, bound.row, replaces))
      parts->ins.take_away(bound.row->replaces, parts->ins.size() - n_operands_);
  }

  void start() {
    const DeviceScope scope(device);
    const FloatMode mode;
    if (!on_cpu) own_stream = std::make_unique<DeviceStream>(device);
    stream = {DT_HDR(dt_stream), on_cpu ? 0 : 1, device.index(), own_stream ? own_stream->handle() : nullptr};
    owner.all = parts;
    call.owners = &owner;
    const StepTensors &ins = parts->ins, &outs = parts->outs;
    const StepMemory& memory = parts->memory;
    const uint32_t n_own = ins.size() - n_operands;
    if (!program.empty()) behind = std::make_unique<EpilogueTable>(program, n_operands, nullptr, ins.data() + n_own);
    table = {DT_HDR(dt_run),
             &call,
             n_own,
             outs.size(),
             ins.data(),
             outs.data(),
             memory.workspace(),
             workspace_bytes,
             memory.packed(),
             memory.packed_bytes,
             pool->table(),
             &stream,
             behind ? behind->get() : nullptr};
    context = std::make_unique<LayerContext>(bound);
    if (!on_cpu) {
      for (const StepTensors* side : {&ins, &outs}) side->upload(stream.handle);
      memory.upload(stream.handle);
    }
    context->shape_changed(call, table);
  }

  std::vector<int64_t> run(int32_t repeat, const CacheState* before) {
    constexpr int32_t kMost = 1 << 20;  // times are kept, and on a device two events for each
    if (repeat < 0 || repeat > kMost)
      throw Failure{DT_INVALID_ARGUMENT,
                    bound.subject + " cannot be run " + std::to_string(repeat) + " times",
                    {{"allowed", "0.." + std::to_string(kMost)}},
                    ""};
    const DeviceScope scope(device);
    const FloatMode mode;
    return on_cpu ? run_on_cpu(repeat, before) : run_on_device(repeat, before);
  }

  std::vector<int64_t> run_on_cpu(int32_t repeat, const CacheState* before) {
    std::vector<int64_t> times;
    Interruptible work;
    for (int32_t i = 0; i < repeat; ++i) {
      work.poll();
      if (before) leave_caches_as_neighbours_do(*before);
      const auto start = std::chrono::steady_clock::now();
      context->enqueue(call, table);
      const auto end = std::chrono::steady_clock::now();
      call.allocations.clear();
      times.push_back(std::chrono::duration_cast<std::chrono::nanoseconds>(end - start).count());
    }
    return times;
  }

  // Between events of the stream: what the device took, without the way there.
  std::vector<int64_t> run_on_device(int32_t repeat, const CacheState* before) {
    std::vector<DeviceEvent> events;
    uint8_t* const others = before && before->evicted_bytes ? before->on_device(device) : nullptr;
    for (int32_t i = 0; i < 2 * repeat; ++i) events.emplace_back(device, true);
    Interruptible work;
    for (size_t i = 0; i < events.size(); i += 2) {
      work.poll();
      if (others) {  // half is read, half written; then the inputs, which a neighbour just wrote
        const uint64_t half = before->evicted_bytes / 2;
        device.copy(others, others + half, half, stream.handle);
        parts->ins.each([&](uint8_t* data, uint64_t bytes, bool is_constant) {
          if (!is_constant) device.copy(others, data, std::min(bytes, half), stream.handle);
        });
      }
      device.record(events[i].handle(), stream.handle);
      context->enqueue(call, table);
      device.record(events[i + 1].handle(), stream.handle);
      call.allocations.clear();
    }
    device.wait(stream.handle);
    std::vector<int64_t> times;
    for (size_t i = 0; i < events.size(); i += 2)
      times.push_back(static_cast<int64_t>(1e6 * device.elapsed_ms(events[i].handle(), events[i + 1].handle())));
    return times;
  }

  // The rest of the network has passed through the caches. The memory of outputs and workspaces was another tensor's a
  // few layers ago, and the layer before has just written the inputs: every thread of the pool its share of them.
  void leave_caches_as_neighbours_do(const CacheState& before) const {
    parts->ins.each([&](uint8_t* data, uint64_t bytes, bool is_constant) {
      if (is_constant) before.cool(data, bytes);
    });
    before.cool(parts->memory.packed(), parts->memory.packed_bytes);
    struct Share {
      const CacheState* before;
      const StepParts* parts;
      uint64_t workspace_bytes;
      int32_t n;
    } share = {&before, parts.get(), workspace_bytes, pool->n_threads()};
    pool->run(
        share.n,
        [](void* arg, int32_t task) {
          const Share& of = *static_cast<const Share*>(arg);
          const auto touch = [&](uint8_t* data, uint64_t bytes, bool is_constant) {
            if (!is_constant) touch_share(data, bytes, task, of.n);
          };
          of.before->evict(task);
          touch_share(static_cast<uint8_t*>(of.parts->memory.workspace()), of.workspace_bytes, task, of.n);
          of.parts->outs.each(touch);
          of.parts->ins.each(touch);
        },
        &share);
  }

  void settle() {
    const DeviceScope scope(device);
    if (!on_cpu) {
      if (guarded) parts->ins.download(stream.handle);
      parts->outs.download(stream.handle);
      device.wait(stream.handle);
    } else {
      parts->memory.check(bound, workspace_bytes);
    }
    for (const StepTensors* side : {&parts->ins, &parts->outs}) side->settle(bound, plugin);
  }

  std::shared_ptr<void> keep;  // the table's
  BoundImplementation bound;
  std::string plugin;
  bool on_cpu, guarded;
  Device device;
  uint64_t workspace_bytes;
  std::shared_ptr<StepParts> parts;
  std::shared_ptr<ThreadPool> pool;
  uint32_t n_operands;
  EpilogueProgram program;
  std::unique_ptr<EpilogueTable> behind;
  std::unique_ptr<DeviceStream> own_stream;
  dt_stream stream = {};
  StepOwner owner;
  Call call;
  dt_run table = {};
  std::unique_ptr<LayerContext> context;
};

BoundImplementation bind_object(const NativeImplementation& self, const ObjectPointer& object, int32_t row) {
  const bool on_op = self.table->traits & DT_TRAIT_OP_OBJECT;
  const bool fits = on_op ? object->op() && object->op() == self.op : object->implementation() == self.table;
  if (!fits) {
    throw Failure{DT_INVALID_ARGUMENT,
                  self.id + " cannot work on this object",
                  {{"works on", on_op ? std::string("the object of ") + self.table->op : "an object of its own"},
                   {"given", "an object of " + object->subject()}},
                  ""};
  }
  return BoundImplementation{self.table, row_at(*self.table, row, self.id), object, self.id};
}

Trial::Trial(const NativeImplementation& self, const ObjectPointer& object, int32_t row, const py::sequence& inputs,
             const py::sequence& outputs, const py::object& packed, uint64_t workspace_bytes, int32_t n_threads,
             bool guarded, const py::object& epilogue, size_t n_operands)
    : state_(std::make_unique<State>(self, object, row, inputs, outputs, packed, workspace_bytes, n_threads, guarded,
                                     epilogue, n_operands)) {
  py::gil_scoped_release release;
  state_->start();
}

Trial::~Trial() {
  py::gil_scoped_release release;
  const DeviceScope scope(state_->device);
  state_->context.reset();  // a plugin's code
  state_->own_stream.reset();
}

std::vector<int64_t> Trial::run(int32_t repeat, const CacheState* before) {
  py::gil_scoped_release release;
  return state_->run(repeat, before);
}

void Trial::settle() {
  py::gil_scoped_release release;
  state_->settle();
}

std::vector<int64_t> run_step(const NativeImplementation& self, const ObjectPointer& object, int32_t row,
                              const py::sequence& inputs, const py::sequence& outputs, const py::object& packed,
                              uint64_t workspace_bytes, int32_t n_threads, int32_t repeat, bool guarded,
                              const py::object& epilogue, size_t n_operands) {
  Trial trial(self, object, row, inputs, outputs, packed, workspace_bytes, n_threads, guarded, epilogue, n_operands);
  const std::vector<int64_t> times = trial.run(repeat, nullptr);
  trial.settle();
  return times;
}

}  // namespace dovetail
