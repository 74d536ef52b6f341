// SPDX-License-Identifier: Apache-2.0
// Engines, and what they answer about their plans.
#include "runtime/engine.hpp"

#include <pybind11/stl.h>

#include <algorithm>
#include <utility>

#include "bindings/buffer.hpp"
#include "bindings/module.hpp"
#include "bindings/native.hpp"
#include "runtime/layout.hpp"

namespace dovetail {
namespace {

// The bytes by which the system knows the file: not all of them are UTF-8.
std::string file_path(const py::object& path) {
  const auto os = py::module_::import("os");
  try {
    return py::cast<py::bytes>(os.attr("fsencode")(path));
  } catch (py::error_already_set& error) {
    if (!error.matches(PyExc_UnicodeEncodeError)) throw;
    return py::cast<py::bytes>(os.attr("fspath")(path).attr("encode")("utf-8", "backslashreplace"));  // no file has it
  }
}

std::shared_ptr<Engine> load_engine(const py::object& source, int n_threads, int device, int spin_us,
                                    int pins_threads) {
  const ThreadOptions threads = {n_threads, spin_us, pins_threads};
  if (PyObject_CheckBuffer(source.ptr())) {
    const std::shared_ptr<Py_buffer> view = hold_buffer(source, PyBUF_SIMPLE);
    FileBytes bytes{static_cast<const uint8_t*>(view->buf), static_cast<uint64_t>(view->len), view};
    py::gil_scoped_release release;
    return Engine::load(std::move(bytes), threads, device);
  }
  const std::string path = file_path(source);
  py::gil_scoped_release release;
  return Engine::load(path, threads, device);
}

void check_plan(const py::object& source, int n_threads) {
  const std::shared_ptr<Py_buffer> view = hold_buffer(source, PyBUF_SIMPLE);
  FileBytes bytes{static_cast<const uint8_t*>(view->buf), static_cast<uint64_t>(view->len), view};
  py::gil_scoped_release release;
  Engine::check(std::move(bytes), {.count = n_threads});
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
  info["dims"] = extents(dims.data(), tensor.rank);
  info["dim_names"] = names;
  info["device"] = tensor.device;
  const auto input = std::find(plan.inputs.begin(), plan.inputs.end(), index) - plan.inputs.begin();
  const auto n_inputs = static_cast<std::ptrdiff_t>(plan.inputs.size());
  info["is_shape"] = input < n_inputs && plan.is_shape_input(static_cast<size_t>(input));
  info["is_data"] = std::any_of(plan.steps.begin(), plan.steps.end(), [index](const PlanStep& step) {
    return std::find(step.inputs.begin(), step.inputs.end(), index) != step.inputs.end();
  });
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
    info["depth"] = plan.blocks[static_cast<size_t>(step.block)].depth;
    list.append(info);
  }
  return list;
}

size_t checked_profile(const Engine& engine, int profile) {
  const size_t n = engine.plan().profiles.size();
  if (profile < 0 || static_cast<size_t>(profile) >= n) throw status::no_such_profile(profile, n);
  return static_cast<size_t>(profile);
}

py::tuple contents_of(const Leaves& leaves, size_t input) {
  return extents(leaves.contents[input].data(), static_cast<int32_t>(leaves.contents[input].size()));
}

py::dict profile_info(const Engine& engine, int index) {
  const Plan& plan = engine.plan();
  const PlanProfile& profile = plan.profiles[checked_profile(engine, index)];
  py::list inputs, contents;
  for (size_t i = 0; i < plan.inputs.size(); ++i) {
    const int rank = plan.tensors[static_cast<size_t>(plan.inputs[i])].rank;
    inputs.append(py::make_tuple(extents(profile.min.extents[i].data(), rank),
                                 extents(profile.opt.extents[i].data(), rank),
                                 extents(profile.max.extents[i].data(), rank)));
    contents.append(
        py::make_tuple(contents_of(profile.min, i), contents_of(profile.opt, i), contents_of(profile.max, i)));
  }
  py::dict info;
  info["inputs"] = inputs;
  info["contents"] = contents;
  info["arena_bytes"] = profile.cpu_arena.bytes;
  info["lower_bound"] = profile.cpu_arena.lower_bound;
  info["cuda_arena_bytes"] = profile.cuda_arena.bytes;
  info["cuda_lower_bound"] = profile.cuda_arena.lower_bound;
  return info;
}

}  // namespace
}  // namespace dovetail

void bind_engine(py::module_& m) {
  using namespace dovetail;
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
  m.def("check_plan", &check_plan, py::arg("plan"), py::arg("n_threads") = 0,
        "Do all that making an engine of the plan does, but for its memory on a device. Raises as Engine does.");
  py::class_<Engine, std::shared_ptr<Engine>>(m, "Engine", "A loaded plan: verified, its layers made and configured.")
      .def(py::init(&load_engine), py::arg("source"), py::arg("n_threads") = 0, py::arg("device") = -1,
           py::arg("spin_us") = -1, py::arg("pins_threads") = -1,
           "From a buffer, which must not change while the engine lives, or a path. Raises PlanCorrupt, "
           "PlanVersionError, PluginNotFound, PluginFailed.")
      .def_property_readonly("name", [](const Engine& self) { return self.plan().name; })
      .def_property_readonly("inputs", [](const Engine& self) { return io_infos(self.plan(), self.plan().inputs); })
      .def_property_readonly("outputs", [](const Engine& self) { return io_infos(self.plan(), self.plan().outputs); })
      .def_property_readonly("producer", [](const Engine& self) { return self.plan().producer; })
      .def_property_readonly("n_steps", [](const Engine& self) { return self.plan().steps.size(); })
      .def_property_readonly("n_profiles", [](const Engine& self) { return self.plan().profiles.size(); })
      .def("profile", &profile_info, py::arg("profile"),
           "(min, opt, max) of each input's extents and contents, the latter empty where it is not a shape; memory.")
      .def_property_readonly(
          "metadata", [](const Engine& self) { return self.plan().json; }, "The plan as JSON text.")
      .def_property_readonly(
          "report",
          [](const Engine& self) {
            const Plan& plan = self.plan();
            return plan.report.empty() ? py::bytes(plan.older_report) : py::bytes(plan.report);
          },
          "The build report as JSON, which nothing has checked; empty if the plan has none.")
      .def(
          "plan_bytes",
          [](const std::shared_ptr<Engine>& self) {
            const FileBytes& bytes = self->plan().bytes;
            // Of an array, and not of the memory alone: slices of a view keep what it was made from.
            py::array array(py::dtype("B"), {static_cast<py::ssize_t>(bytes.n)}, {}, bytes.data, owner_capsule(self));
            py::detail::array_proxy(array.ptr())->flags &= ~py::detail::npy_api::NPY_ARRAY_WRITEABLE_;
            py::memoryview view(array);
            return view;
          },
          "The plan, where it lies.")
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
}
