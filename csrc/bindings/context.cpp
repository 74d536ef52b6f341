// SPDX-License-Identifier: Apache-2.0
// Contexts. Whatever computes or waits runs without the GIL; plugins written in Python take it themselves.
#include "runtime/context.hpp"

#include <pybind11/stl.h>

#include <algorithm>
#include <limits>
#include <optional>
#include <thread>
#include <utility>

#include "bindings/array_run.hpp"
#include "bindings/buffer.hpp"
#include "bindings/errors.hpp"
#include "bindings/module.hpp"
#include "bindings/native.hpp"
#include "runtime/interrupt.hpp"

namespace dovetail {
namespace {

// Ctrl-C while the GIL is released: Python's handlers run here, on the main thread, and what they raise ends the work.
void check_signals() {
  if (!python_is_alive()) return;
  py::gil_scoped_acquire gil;
  if (PyErr_CheckSignals() != 0) throw py::error_already_set();
}

// A context as Python uses it.
class GuardedContext {
 public:
  GuardedContext(std::shared_ptr<Engine> engine, int profile, bool own_memory)
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

  // NumPy's type of each input and output, for `run`.
  void set_array_types(const py::sequence& types) { arrays_ = std::make_unique<ArrayRun>(&context_, types); }

  py::object run(const py::object& inputs, const py::object& outputs) {
    if (!arrays_) throw py::value_error("set_array_types has to come first");
    enter();
    const std::unique_ptr<GuardedContext, Leave> leaves(this);
    const py::object results = arrays_->run(inputs, outputs);
    return results ? results : py::object(py::none());
  }

  // Within `with context`. The results, and the times of the steps where they were asked for.
  py::tuple run_converted(const py::sequence& inputs, const py::sequence& outputs, uintptr_t stream, bool is_profiled) {
    if (!arrays_ || !in_use_ || !is_mine()) throw py::value_error("run_converted is called within `with context`");
    std::vector<uint64_t> times;
    const py::object results =
        arrays_->run_converted(inputs, outputs, reinterpret_cast<void*>(stream), is_profiled ? &times : nullptr);
    return py::make_tuple(results, layer_times(times));
  }

  // (layer, nanoseconds) of each step.
  py::list layer_times(const std::vector<uint64_t>& times) const {
    const Plan& plan = context_.engine().plan();
    py::list list;
    for (size_t i = 0; i < times.size(); ++i) list.append(py::make_tuple(plan.steps[i].layer, times[i]));
    return list;
  }

 private:
  struct Leave {
    void operator()(GuardedContext* context) const { context->exit(); }
  };
  bool is_mine() const { return thread_ == std::this_thread::get_id(); }

  Context context_;
  std::optional<Context::InUse> in_use_;  // under the GIL
  std::thread::id thread_;
  std::unique_ptr<ArrayRun> arrays_;
};

py::tuple context_shape(GuardedContext& self, size_t io) {
  Dims dims = {};
  const int rank = self.get().shape(io, &dims);
  return extents(dims.data(), rank);
}

void execute_on(GuardedContext& self, int kind, int device_id, uintptr_t handle) {
  const dt_stream stream = {DT_HDR(dt_stream), kind, device_id, reinterpret_cast<void*>(handle)};
  py::gil_scoped_release release;
  self.get().execute(stream);
}

py::list execute_profiled(GuardedContext& self, uintptr_t stream) {
  std::vector<uint64_t> times;
  {
    py::gil_scoped_release release;
    times = self.get().execute_profiled(reinterpret_cast<void*>(stream));
  }
  return self.layer_times(times);
}

}  // namespace
}  // namespace dovetail

void bind_context(py::module_& m) {
  using namespace dovetail;
  interrupt_check = check_signals;
  py::class_<GuardedContext>(m, "Context",
                             "One thread's execution of an engine. Inputs come first, then outputs, from 0.")
      .def(py::init([](std::shared_ptr<Engine> engine, int profile, bool own_memory) {
             py::gil_scoped_release release;
             return std::make_unique<GuardedContext>(std::move(engine), profile, own_memory);
           }),
           py::arg("engine").none(false), py::arg("profile") = 0, py::arg("own_memory") = true)
      .def("__enter__", &GuardedContext::enter,
           "The calling thread has the context until __exit__; what another one calls raises BindingError.")
      .def("__exit__", [](GuardedContext& self, const py::args&) { self.exit(); })
      .def_property_readonly("profile", [](GuardedContext& self) { return self.get().profile(); })
      .def(
          "set_profile", [](GuardedContext& self, int profile) { self.get().set_profile(profile); }, py::arg("profile"),
          "Open extents of the inputs are unknown afterwards. Raises ProfileError.")
      .def("set_input_shape", &GuardedContext::set_input_shape, py::arg("input"), py::arg("dims"),
           "Raises ProfileError if an extent is outside the profile; the shape before stays then.")
      .def(
          "infer_shapes", [](GuardedContext& self) { return self.get().infer_shapes(); },
          "Names of inputs whose shapes are missing; if none, all shapes are computed and checked now.")
      .def("tensor_shape", &context_shape, py::arg("io"), "A tuple, with -1 where nothing is known yet.")
      .def(
          "tensor_bytes", [](GuardedContext& self, size_t io) { return self.get().bytes(io); }, py::arg("io"),
          "Size in the tensor's format, with padding.")
      .def("set_address", &GuardedContext::set_address, py::arg("io"), py::arg("address"),
           py::arg("bytes") = std::numeric_limits<uint64_t>::max(), py::arg("owner") = py::none(),
           "An address as int; 0 takes it away. `bytes`: what is there, checked before running. `owner`: what keeps\n"
           "the memory alive; held until another address takes its place, and by arrays that Python plugins keep.")
      .def("set_input", &GuardedContext::set_input, py::arg("input"), py::arg("buffer"),
           "set_input_shape and set_buffer with a C-contiguous buffer that has the extents.")
      .def("set_buffer", &GuardedContext::set_buffer, py::arg("io"), py::arg("buffer"),
           "A C-contiguous buffer, writable for outputs; kept until another takes its place.")
      .def("set_array_types", &GuardedContext::set_array_types, py::arg("types"),
           "NumPy's type of each input and output, for `run`.")
      .def("run", &GuardedContext::run, py::arg("inputs"), py::arg("outputs") = py::none(),
           "Results by name, on arrays that can be used as they are: a dict, list or tuple of inputs, or an only one;\n"
           "a dict of outputs to write to. None if something has to be converted or refused first.")
      .def("run_converted", &GuardedContext::run_converted, py::arg("inputs"), py::arg("outputs"),
           py::arg("stream") = 0, py::arg("is_profiled") = false,
           "Within `with context`: (results by name, [(layer, nanoseconds)]) of lists in the engine's order. An input\n"
           "is an array as `run` takes it, or (address, bytes, dims or None, owner); an output None, or a function of\n"
           "its dims that returns an array or (address, bytes, owner).")
      .def("set_output_allocator", &GuardedContext::set_output_allocator, py::arg("io"), py::arg("allocate"),
           py::arg("notify"),
           "allocate(bytes, alignment) -> address, or (address, owner), and notify(dims) are called in each execution "
           "as\n"
           "soon as the extents of the output are known; None takes them away.")
      .def(
          "max_bytes", [](GuardedContext& self, size_t io) { return self.get().max_bytes(io); }, py::arg("io"),
          "The most that the tensor can need with the present inputs.")
      .def(
          "address",
          [](GuardedContext& self, size_t io) { return reinterpret_cast<uintptr_t>(self.get().address(io)); },
          py::arg("io"))
      .def_property_readonly("device_memory",
                             [](GuardedContext& self) { return reinterpret_cast<uintptr_t>(self.get().memory()); })
      .def(
          "set_device_memory",
          [](GuardedContext& self, uintptr_t address, uint64_t bytes) {
            self.get().set_memory(reinterpret_cast<void*>(address), bytes);
          },
          py::arg("address"), py::arg("bytes"),
          "Memory aligned to 64, kept for profiles that need no more; 0 takes it away.")
      .def_property_readonly("device_memory_size", [](GuardedContext& self) { return self.get().memory_bytes(); })
      .def(
          "execute", [](GuardedContext& self) { self.get().execute(); }, py::call_guard<py::gil_scoped_release>(),
          "Run all steps. Raises BindingError, ProfileError, ShapeError, PluginFailed; the context stays usable.")
      .def(
          "execute_on", &execute_on, py::arg("kind"), py::arg("device_id"), py::arg("handle"),
          "Run on a stream: kind 0 is none, the only one for a plan for the cpu; 1 is a cudaStream_t, on which all is\n"
          "enqueued.")
      .def("execute_profiled", &execute_profiled, py::arg("stream") = 0,
           "Run all steps and wait for them; a list of (layer, nanoseconds).")
      .def_property(
          "input_consumed_event",
          [](GuardedContext& self) { return reinterpret_cast<uintptr_t>(self.get().input_consumed_event()); },
          [](GuardedContext& self, uintptr_t event) {
            self.get().set_input_consumed_event(reinterpret_cast<void*>(event));
          },
          "A cudaEvent_t as int, recorded once the inputs may be changed again; 0 takes it away.")
      .def_property(
          "debug_sync", [](GuardedContext& self) { return self.get().is_debug_sync(); },
          [](GuardedContext& self, bool on) { self.get().set_debug_sync(on); },
          "Wait after every layer, so that a fault names it. At first: is DOVETAIL_SYNC=1 set?");
}
