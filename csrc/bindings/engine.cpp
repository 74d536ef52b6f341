// SPDX-License-Identifier: Apache-2.0
// Engines and contexts. Whatever computes or waits runs without the GIL; plugins written in Python take it themselves.
#include <pybind11/stl.h>

#include <algorithm>
#include <limits>
#include <optional>
#include <thread>
#include <utility>

#include "bindings/errors.hpp"
#include "bindings/module.hpp"
#include "runtime/checksum.hpp"
#include "runtime/context.hpp"
#include "runtime/interrupt.hpp"
#include "runtime/layout.hpp"

namespace dovetail {
namespace {

// A buffer of Python's, held until the last owner lets go, whichever thread that is.
std::shared_ptr<Py_buffer> hold_buffer(const py::handle& object, int flags) {
  auto view = std::make_unique<Py_buffer>();
  if (PyObject_GetBuffer(object.ptr(), view.get(), flags) != 0) throw py::error_already_set();
  return std::shared_ptr<Py_buffer>(view.release(), [](Py_buffer* held) {
    if (Py_IsInitialized()) {
      py::gil_scoped_acquire gil;
      PyBuffer_Release(held);
    }
    delete held;
  });
}

std::shared_ptr<Engine> load_engine(const py::object& source, int n_threads, int device) {
  if (PyObject_CheckBuffer(source.ptr())) {
    const std::shared_ptr<Py_buffer> view = hold_buffer(source, PyBUF_SIMPLE);
    FileBytes bytes{static_cast<const uint8_t*>(view->buf), static_cast<uint64_t>(view->len), view};
    py::gil_scoped_release release;
    return Engine::load(std::move(bytes), n_threads, device);
  }
  const auto path = py::cast<std::string>(py::module_::import("os").attr("fspath")(source));
  py::gil_scoped_release release;
  return Engine::load(path, n_threads, device);
}

void check_plan(const py::object& source, int n_threads) {
  const std::shared_ptr<Py_buffer> view = hold_buffer(source, PyBUF_SIMPLE);
  FileBytes bytes{static_cast<const uint8_t*>(view->buf), static_cast<uint64_t>(view->len), view};
  py::gil_scoped_release release;
  Engine::check(std::move(bytes), n_threads);
}

py::str checksum_of(const py::object& buffer) {
  const std::shared_ptr<Py_buffer> view = hold_buffer(buffer, PyBUF_SIMPLE);
  uint64_t value = 0;
  {
    py::gil_scoped_release release;
    value = checksum(view->buf, static_cast<size_t>(view->len));
  }
  return hex_digits(value);
}

py::tuple to_tuple(const Dims& dims, int rank) {
  py::tuple out(static_cast<size_t>(rank));
  for (size_t i = 0; i < static_cast<size_t>(rank); ++i) out[i] = dims[i];
  return out;
}

py::dict io_info(const Plan& plan, int32_t index) {
  const PlanTensor& tensor = plan.tensors[static_cast<size_t>(index)];
  py::list names;
  Dims dims = {};
  for (int axis = 0; axis < tensor.rank; ++axis) {
    dims[static_cast<size_t>(axis)] = tensor.dims[axis].value;
    const std::string& name = tensor.dim_names[axis];
    names.append(name.empty() ? py::object(py::none()) : py::object(py::str(name)));
  }
  py::dict info;
  info["name"] = tensor.name;
  info["dtype"] = tensor.data_type;
  info["format"] = tensor.format;
  info["scale"] = tensor.scale;
  info["dims"] = to_tuple(dims, tensor.rank);
  info["dim_names"] = names;
  info["device"] = tensor.device;
  const auto input = std::find(plan.inputs.begin(), plan.inputs.end(), index) - plan.inputs.begin();
  const auto n_inputs = static_cast<std::ptrdiff_t>(plan.inputs.size());
  info["is_shape"] = input < n_inputs && plan.is_shape_input(static_cast<size_t>(input));
  info["is_sized_late"] = plan.needed_sizes_of(index) > 0;
  return info;
}

py::list io_infos(const Plan& plan, const std::vector<int32_t>& tensors) {
  py::list list;
  for (int32_t t : tensors) list.append(io_info(plan, t));
  return list;
}

py::list step_infos(const Engine& engine) {
  const Plan& plan = engine.plan();
  const auto names = [&plan](const std::vector<int32_t>& tensors) {
    py::list list;
    for (int32_t t : tensors)
      list.append(t < 0 ? py::object(py::none()) : py::object(py::str(plan.tensors[static_cast<size_t>(t)].name)));
    return list;
  };
  py::list list;
  for (const PlanStep& step : plan.steps) {
    py::dict info;
    info["layer"] = step.layer;
    info["op"] = step.op;
    info["implementation"] = step.implementation;
    info["row"] = step.row;
    info["tactic"] = step.tactic;
    info["inputs"] = names(step.inputs);
    info["outputs"] = names(step.outputs);
    info["python"] = step.is_python;
    info["device"] = step.device;
    list.append(info);
  }
  return list;
}

// A read-only copy of bytes, aligned as plans are best: an engine uses it where it lies. In C++ because a class of
// Python's can offer no buffer before 3.12.
class HostMemory {
 public:
  explicit HostMemory(const py::object& source) {
    const std::shared_ptr<Py_buffer> view = hold_buffer(source, PyBUF_SIMPLE);
    memory_ = Memory(static_cast<uint64_t>(view->len), "a plan");
    std::copy_n(static_cast<const uint8_t*>(view->buf), memory_.bytes(), memory_.data());
  }
  // The parts one behind the other, and the digits of their checksum in place of the zeros at `digits_at`.
  HostMemory(const py::list& parts, uint64_t digits_at) {
    std::vector<std::shared_ptr<Py_buffer>> views;
    uint64_t n = 0;
    for (const py::handle part : parts) {
      views.push_back(hold_buffer(py::reinterpret_borrow<py::object>(part), PyBUF_SIMPLE));
      n += static_cast<uint64_t>(views.back()->len);
    }
    if (digits_at > n || n - digits_at < kChecksumDigits) throw py::value_error("the digits do not fit");
    memory_ = Memory(n, "a plan");
    uint8_t* at = memory_.data();
    for (const auto& view : views) at = std::copy_n(static_cast<const uint8_t*>(view->buf), view->len, at);
    const std::string digits = hex_digits(checksum(memory_.data(), n, digits_at));
    std::copy(digits.begin(), digits.end(), memory_.data() + digits_at);
  }
  py::buffer_info buffer() const {
    return py::buffer_info(memory_.data(), 1, "B", 1, {static_cast<py::ssize_t>(memory_.bytes())}, {1}, true);
  }
  uint64_t bytes() const { return memory_.bytes(); }

 private:
  Memory memory_;
};

// Ctrl-C while the GIL is released: Python's handlers run here, on the main thread, and what they raise ends the work.
void check_signals() {
  if (!python_is_alive()) return;
  py::gil_scoped_acquire gil;
  if (PyErr_CheckSignals() != 0) throw py::error_already_set();
}

size_t checked_profile(const Engine& engine, int profile) {
  const size_t n = engine.plan().profiles.size();
  if (profile < 0 || static_cast<size_t>(profile) >= n) throw status::no_such_profile(profile, n);
  return static_cast<size_t>(profile);
}

py::dict profile_info(const Engine& engine, int index) {
  const Plan& plan = engine.plan();
  const PlanProfile& profile = plan.profiles[checked_profile(engine, index)];
  py::list inputs;
  for (size_t i = 0; i < plan.inputs.size(); ++i) {
    const int rank = plan.tensors[static_cast<size_t>(plan.inputs[i])].rank;
    inputs.append(py::make_tuple(to_tuple(profile.min.extents[i], rank), to_tuple(profile.opt.extents[i], rank),
                                 to_tuple(profile.max.extents[i], rank)));
  }
  py::dict info;
  info["inputs"] = inputs;
  info["arena_bytes"] = profile.arena(plan.device).bytes;
  info["lower_bound"] = profile.arena(plan.device).lower_bound;
  return info;
}

// A context as Python uses it.
class PyContext {
 public:
  PyContext(std::shared_ptr<Engine> engine, int profile, bool own_memory)
      : context_(std::move(engine), profile, own_memory) {}

  Context& get() { return context_; }

  void set_input_shape(size_t input, const py::sequence& dims) {
    int64_t extents[DT_MAX_RANK];
    const size_t rank = dims.size();
    for (size_t i = 0; i < rank && i < DT_MAX_RANK; ++i) extents[i] = py::cast<int64_t>(dims[i]);
    context_.set_input_shape(input, extents, static_cast<int>(std::min<size_t>(rank, 1000)));
  }

  // An array as it stands: its extents and where it lies.
  void set_input(size_t io, const py::object& object) {
    std::shared_ptr<Py_buffer> view = hold_buffer(object, PyBUF_ND | PyBUF_C_CONTIGUOUS);
    int64_t extents[DT_MAX_RANK];
    std::copy_n(view->shape, std::min(view->ndim, DT_MAX_RANK), extents);
    context_.set_input_shape(io, extents, view->ndim);
    context_.set_address(io, view->buf, static_cast<uint64_t>(view->len), view);
  }

  // Held from the first setting to the end of the execution, so that no other thread changes anything in between.
  void enter() {
    if (in_use_) throw status::context_in_use(context_.engine().plan().name, !is_mine());
    in_use_.emplace(&context_, Context::Use::kChange);
    thread_ = std::this_thread::get_id();
  }
  void exit() {
    if (is_mine()) in_use_.reset();
  }

  void set_address(size_t io, uintptr_t address, uint64_t bytes, py::object owner) {
    std::shared_ptr<void> held = owner.is_none() ? nullptr : hold(std::move(owner));
    context_.set_address(io, reinterpret_cast<void*>(address), bytes, std::move(held));
  }

  // allocate(bytes, alignment) -> address, or (address, owner); notify(dims); None takes it away.
  void set_output_allocator(size_t io, py::object allocate, py::object notify) {
    Context::OutputAllocator allocator;
    if (!allocate.is_none()) {
      const auto owner = std::make_shared<std::shared_ptr<void>>();
      allocator.allocate = [allocate = std::move(allocate), owner](uint64_t bytes, uint64_t alignment) {
        py::gil_scoped_acquire gil;
        py::object answer = allocate(bytes, alignment);
        owner->reset();
        if (py::isinstance<py::tuple>(answer)) {
          const py::tuple pair = answer;
          *owner = hold(pair[1]);
          answer = pair[0];
        }
        return reinterpret_cast<void*>(py::cast<uintptr_t>(answer));
      };
      allocator.owner = [owner] { return std::exchange(*owner, nullptr); };
      allocator.notify = [notify = std::move(notify)](const int64_t* dims, int rank) {
        py::gil_scoped_acquire gil;
        py::tuple extents(static_cast<size_t>(rank));
        for (int axis = 0; axis < rank; ++axis) extents[static_cast<size_t>(axis)] = dims[axis];
        notify(extents);
      };
    }
    context_.set_output_allocator(io, std::move(allocator));
  }

  void set_buffer(size_t io, const py::object& object) {
    const bool is_output = io >= context_.engine().plan().inputs.size();
    std::shared_ptr<Py_buffer> view =
        hold_buffer(object, PyBUF_ND | PyBUF_C_CONTIGUOUS | (is_output ? PyBUF_WRITABLE : 0));
    context_.set_address(io, view->buf, static_cast<uint64_t>(view->len), view);
  }

 private:
  bool is_mine() const { return thread_ == std::this_thread::get_id(); }

  Context context_;
  std::optional<Context::InUse> in_use_;  // under the GIL
  std::thread::id thread_;
};

py::tuple context_shape(PyContext& self, size_t io) {
  Dims dims = {};
  const int rank = self.get().shape(io, &dims);
  return to_tuple(dims, rank);
}

void execute_on(PyContext& self, int kind, int device_id, uintptr_t handle) {
  const dt_stream stream = {DT_HDR(dt_stream), kind, device_id, reinterpret_cast<void*>(handle)};
  py::gil_scoped_release release;
  self.get().execute(stream);
}

py::list execute_profiled(PyContext& self, uintptr_t stream) {
  std::vector<uint64_t> times;
  {
    py::gil_scoped_release release;
    times = self.get().execute_profiled(reinterpret_cast<void*>(stream));
  }
  const Plan& plan = self.get().engine().plan();
  py::list list;
  for (size_t i = 0; i < times.size(); ++i) list.append(py::make_tuple(plan.steps[i].layer, times[i]));
  return list;
}

void bind_context(py::module_& m) {
  py::class_<PyContext>(m, "Context", "One thread's execution of an engine. Inputs come first, then outputs, from 0.")
      .def(py::init([](std::shared_ptr<Engine> engine, int profile, bool own_memory) {
             py::gil_scoped_release release;
             return std::make_unique<PyContext>(std::move(engine), profile, own_memory);
           }),
           py::arg("engine").none(false), py::arg("profile") = 0, py::arg("own_memory") = true)
      .def("__enter__", &PyContext::enter,
           "The calling thread has the context until __exit__; what another one calls raises BindingError.")
      .def("__exit__", [](PyContext& self, const py::args&) { self.exit(); })
      .def_property_readonly("profile", [](PyContext& self) { return self.get().profile(); })
      .def(
          "set_profile", [](PyContext& self, int profile) { self.get().set_profile(profile); }, py::arg("profile"),
          "Open extents of the inputs are unknown afterwards. Raises ProfileError.")
      .def("set_input_shape", &PyContext::set_input_shape, py::arg("input"), py::arg("dims"),
           "Raises ProfileError if an extent is outside the profile; the shape before stays then.")
      .def(
          "infer_shapes", [](PyContext& self) { return self.get().infer_shapes(); },
          "Names of inputs whose shapes are missing; if none, all shapes are computed and checked now.")
      .def("tensor_shape", &context_shape, py::arg("io"), "A tuple, with -1 where nothing is known yet.")
      .def(
          "tensor_bytes", [](PyContext& self, size_t io) { return self.get().bytes(io); }, py::arg("io"),
          "Size in the tensor's format, with padding.")
      .def("set_address", &PyContext::set_address, py::arg("io"), py::arg("address"),
           py::arg("bytes") = std::numeric_limits<uint64_t>::max(), py::arg("owner") = py::none(),
           "An address as int; 0 takes it away. `bytes`: what is there, checked before running. `owner`: what keeps\n"
           "the memory alive; held until another address takes its place, and by arrays that Python plugins keep.")
      .def("set_input", &PyContext::set_input, py::arg("input"), py::arg("buffer"),
           "set_input_shape and set_buffer with a C-contiguous buffer that has the extents.")
      .def("set_buffer", &PyContext::set_buffer, py::arg("io"), py::arg("buffer"),
           "A C-contiguous buffer, writable for outputs; kept until another takes its place.")
      .def("set_output_allocator", &PyContext::set_output_allocator, py::arg("io"), py::arg("allocate"),
           py::arg("notify"),
           "allocate(bytes, alignment) -> address, or (address, owner), and notify(dims) are called in each execution "
           "as\n"
           "soon as the extents of the output are known; None takes them away.")
      .def(
          "max_bytes", [](PyContext& self, size_t io) { return self.get().max_bytes(io); }, py::arg("io"),
          "The most that the tensor can need with the present inputs.")
      .def(
          "address", [](PyContext& self, size_t io) { return reinterpret_cast<uintptr_t>(self.get().address(io)); },
          py::arg("io"))
      .def_property_readonly("device_memory",
                             [](PyContext& self) { return reinterpret_cast<uintptr_t>(self.get().memory()); })
      .def(
          "set_device_memory",
          [](PyContext& self, uintptr_t address, uint64_t bytes) {
            self.get().set_memory(reinterpret_cast<void*>(address), bytes);
          },
          py::arg("address"), py::arg("bytes"),
          "Memory aligned to 64, kept for profiles that need no more; 0 takes it away.")
      .def_property_readonly("device_memory_size", [](PyContext& self) { return self.get().memory_bytes(); })
      .def(
          "execute", [](PyContext& self) { self.get().execute(); }, py::call_guard<py::gil_scoped_release>(),
          "Run all steps. Raises BindingError, ProfileError, ShapeError, PluginFailed; the context stays usable.")
      .def(
          "execute_on", &execute_on, py::arg("kind"), py::arg("device_id"), py::arg("handle"),
          "Run on a stream: kind 0 is none, the only one for a plan for the cpu; 1 is a cudaStream_t, on which all is\n"
          "enqueued.")
      .def("execute_profiled", &execute_profiled, py::arg("stream") = 0,
           "Run all steps and wait for them; a list of (layer, nanoseconds).")
      .def_property(
          "input_consumed_event",
          [](PyContext& self) { return reinterpret_cast<uintptr_t>(self.get().input_consumed_event()); },
          [](PyContext& self, uintptr_t event) { self.get().set_input_consumed_event(reinterpret_cast<void*>(event)); },
          "A cudaEvent_t as int, recorded once the inputs may be changed again; 0 takes it away.")
      .def_property(
          "debug_sync", [](PyContext& self) { return self.get().is_debug_sync(); },
          [](PyContext& self, bool on) { self.get().set_debug_sync(on); },
          "Wait after every layer, so that a fault names it. At first: is DOVETAIL_SYNC=1 set?");
}

}  // namespace
}  // namespace dovetail

void bind_engine(py::module_& m) {
  using namespace dovetail;
  interrupt_check = check_signals;
  m.def("checksum", &checksum_of, py::arg("buffer"),
        "16 hex digits; for a plan: of its bytes with '0' in place of the digits.");
  m.def(
      "refuse_foreign",
      [](const py::object& buffer) {
        const std::shared_ptr<Py_buffer> view = hold_buffer(buffer, PyBUF_SIMPLE);
        refuse_foreign(static_cast<const uint8_t*>(view->buf), static_cast<uint64_t>(view->len));
      },
      py::arg("buffer"), "Raises PlanCorrupt if these are the first bytes of an ONNX model, a TensorRT engine ...");
  m.def("default_threads", &default_threads, "DOVETAIL_NUM_THREADS, or the number of cores that may be used.");
  m.def(
      "tensor_bytes",
      [](const std::vector<int64_t>& dims, int data_type, int format) {
        uint64_t bytes = 0;
        if (dims.size() > DT_MAX_RANK ||
            !tensor_bytes(dims.data(), static_cast<int>(dims.size()), data_type, format, &bytes))
          throw py::value_error("no tensor can have these extents in this format");
        return bytes;
      },
      py::arg("dims"), py::arg("dtype"), py::arg("format"), "Bytes of a tensor with its padded channels.");
  py::class_<HostMemory>(m, "HostMemory", py::buffer_protocol(),
                         "A read-only, aligned copy of a buffer; may be derived from.")
      .def(py::init<const py::object&>(), py::arg("source"))
      .def(py::init<const py::list&, uint64_t>(), py::arg("parts"), py::arg("digits_at"),
           "The parts of a plan, joined and sealed with their checksum.")
      .def_buffer(&HostMemory::buffer)
      .def_property_readonly("nbytes", &HostMemory::bytes)
      .def("__len__", &HostMemory::bytes);
  m.def("check_plan", &check_plan, py::arg("plan"), py::arg("n_threads") = 0,
        "Do all that making an engine of the plan does, but for its memory on a device. Raises as Engine does.");
  py::class_<Engine, std::shared_ptr<Engine>>(m, "Engine", "A loaded plan: verified, its layers made and configured.")
      .def(py::init(&load_engine), py::arg("source"), py::arg("n_threads") = 0, py::arg("device") = -1,
           "From a buffer, which must not change while the engine lives, or a path. Raises PlanCorrupt, "
           "PlanVersionError, PluginNotFound, PluginFailed.")
      .def_property_readonly("name", [](const Engine& self) { return self.plan().name; })
      .def_property_readonly("inputs", [](const Engine& self) { return io_infos(self.plan(), self.plan().inputs); })
      .def_property_readonly("outputs", [](const Engine& self) { return io_infos(self.plan(), self.plan().outputs); })
      .def_property_readonly("n_profiles", [](const Engine& self) { return self.plan().profiles.size(); })
      .def("profile", &profile_info, py::arg("profile"))
      .def_property_readonly(
          "metadata", [](const Engine& self) { return self.plan().json; }, "The plan as JSON text.")
      .def_property_readonly(
          "report", [](const Engine& self) { return py::bytes(self.plan().report); },
          "The build report as JSON, which nothing has checked; empty if the plan has none of its own.")
      .def(
          "plan_bytes",
          [](const Engine& self) {
            const FileBytes& bytes = self.plan().bytes;
            return py::memoryview::from_memory(bytes.data, static_cast<py::ssize_t>(bytes.n));
          },
          py::keep_alive<0, 1>(), "The plan, where it lies.")
      .def_property_readonly("steps", &step_infos)
      .def_property_readonly("n_threads", &Engine::n_threads)
      .def_property_readonly(
          "device", [](const Engine& self) { return py::make_tuple(self.device().type(), self.device().index()); },
          "(DLPack device type, index)")
      .def(
          "device_memory_size",
          [](const Engine& self, int profile) {
            const Engine::Memory& memory = self.memory(static_cast<int>(checked_profile(self, profile)));
            return self.device().is_cpu() ? memory.cpu_bytes : memory.cuda_bytes;
          },
          py::arg("profile") = 0, "Bytes that a context needs.");
  bind_context(m);
}
