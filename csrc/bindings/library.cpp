// SPDX-License-Identifier: Apache-2.0
// Libraries, the process-wide table of implementations, the machine's features and the log.
#include <pybind11/stl.h>
#include <pybind11/typing.h>

#include "bindings/errors.hpp"
#include "bindings/module.hpp"
#include "bindings/native.hpp"

namespace dovetail {
namespace {

py::object& log_function() {
  static py::object* const function = new py::object(py::none());  // leaked: used until the interpreter is gone
  return *function;
}

// Lines may come from any thread, and while an exception is on its way: it is kept, and one of the sink's is reported.
void log_to_python(int level, const char* message) {
  if (!python_is_alive()) return;
  py::gil_scoped_acquire gil;
  py::error_scope pending;
  const py::object function = log_function();
  if (function.is_none()) return;
  try {
    function(level,
             py::reinterpret_steal<py::object>(PyUnicode_DecodeUTF8(
                 message, static_cast<Py_ssize_t>(std::char_traits<char>::length(message)), "backslashreplace")));
  } catch (py::error_already_set& error) {
    error.discard_as_unraisable("dovetail log sink");
  }
}

void set_python_log_sink(py::object function) {
  const bool is_none = function.is_none();
  log_function() = std::move(function);
  set_log_sink(is_none ? nullptr : log_to_python);
}

py::list present_features() {
  const uint64_t features = cpu_features();
  py::list names;
#define DT_FEATURE_NAME(name, bit) \
  if (features >> bit & 1) names.append(#name);
  DT_CPU_FEATURES(DT_FEATURE_NAME)
#undef DT_FEATURE_NAME
  return names;
}

std::shared_ptr<Library> open_path(const py::object& path) {
  const auto text = py::cast<std::string>(py::module_::import("os").attr("fsencode")(path));  // any bytes but zero
  py::gil_scoped_release release;
  return open_library(text);
}

std::vector<NativeOp> ops_of(const std::shared_ptr<Library>& library) {
  const dt_plugin& plugin = *library->plugin;
  std::vector<NativeOp> ops;
  for (uint32_t i = 0; i < plugin.n_ops; ++i) {
    const dt_op* op = plugin.ops[i];
    ops.push_back(
        {op, op_id(plugin, *op), text_or_empty(op->namespace_ ? op->namespace_ : plugin.namespace_), library});
  }
  return ops;
}

std::vector<NativeImplementation> implementations_of(const std::shared_ptr<Library>& library) {
  const dt_plugin& plugin = *library->plugin;
  std::vector<NativeImplementation> implementations;
  for (uint32_t i = 0; i < plugin.n_implementations; ++i) {
    const dt_implementation* table = plugin.implementations[i];
    implementations.push_back({table, std::string(table->op) + "#" + table->name, text_or_empty(plugin.name),
                               text_or_empty(plugin.version), library->path, library->hash, library, nullptr});
    for (uint32_t j = 0; j < plugin.n_ops; ++j) {
      if (op_id(plugin, *plugin.ops[j]) == table->op) implementations.back().op = plugin.ops[j];
    }
  }
  return implementations;
}

void register_native(const NativeImplementation& implementation, const NativeOp* op) {
  if (implementation.op && op && op->table != implementation.op) {
    throw Failure{
        DT_INVALID_ARGUMENT,
        implementation.id + " cannot be registered with this op",
        {{"works on", std::string("the object of its library's ") + implementation.table->op}, {"given", op->id}},
        "Pass the NativeOp of the same library, or none."};
  }
  const dt_op* table = implementation.op ? implementation.op : op ? op->table : nullptr;
  ImplementationEntry entry{implementation.id,
                            implementation.table,
                            table,
                            implementation.plugin,
                            implementation.plugin_version,
                            implementation.library,
                            implementation.hash,
                            implementation.keep};
  py::gil_scoped_release release;
  register_implementation(std::move(entry));
}

}  // namespace
}  // namespace dovetail

namespace {

// A path may have any bytes; Python's form of it is that of os.fsdecode.
pybind11::str decoded_path(const std::string& path) {
  const auto size = static_cast<Py_ssize_t>(path.size());
  return pybind11::reinterpret_steal<pybind11::str>(PyUnicode_DecodeFSDefaultAndSize(path.data(), size));
}

}  // namespace

void bind_library(py::module_& m) {
  using namespace dovetail;
  m.def("cpu_features", present_features,
        "Instruction sets of this machine, names of CPU_FEATURES, after DOVETAIL_FORCE_ISA capped them.");
  m.def("set_log_sink", set_python_log_sink, py::arg("sink"),
        "Log lines go to sink(level, text); None: warnings and errors go to stderr.");
  py::class_<Library, std::shared_ptr<Library>>(m, "Library",
                                                "A library of plugins; stays open until the process ends.")
      .def_property_readonly("path", [](const Library& library) { return decoded_path(library.path); })
      .def_readonly("hash", &Library::hash)
      .def_property_readonly("name", [](const Library& self) { return text_or_empty(self.plugin->name); })
      .def_property_readonly("version", [](const Library& self) { return text_or_empty(self.plugin->version); })
      .def_property_readonly("namespace", [](const Library& self) { return text_or_empty(self.plugin->namespace_); })
      .def_property_readonly("vendor", [](const Library& self) { return text_or_empty(self.plugin->vendor); })
      .def_property_readonly("license", [](const Library& self) { return text_or_empty(self.plugin->license); })
      .def_property_readonly("url", [](const Library& self) { return text_or_empty(self.plugin->url); })
      .def_property_readonly(
          "abi", [](const Library& self) { return py::make_tuple(self.plugin->h.abi_major, self.plugin->h.abi_minor); })
      .def_property_readonly("ops", ops_of)
      .def_property_readonly("implementations", implementations_of)
      .def("__repr__", [](const Library& self) {
        return "<Library " + text_or_empty(self.plugin->name) + " " + text_or_empty(self.plugin->version) + ">";
      });
  m.def("open_library", open_path, py::arg("path"),
        "The library, checked; the same file or a copy of it gives the same object. Raises LibraryRefused.");
  m.def(
      "opened_paths",
      [] {
        const auto paths = [] {
          const py::gil_scoped_release release;
          return opened_paths();
        }();
        py::typing::List<py::str> decoded;
        for (const std::string& path : paths) decoded.append(decoded_path(path));
        return decoded;
      },
      "Paths of the files that open_library has mapped, refused ones too.");
  m.def("register_implementation", register_native, py::arg("implementation"), py::arg("op").none(true) = nullptr,
        "Let engines of this process find it by its id. Raises PluginConflict if the id is taken by another table.");
  m.def("deregister_implementation", &deregister_implementation, py::arg("id"),
        py::call_guard<py::gil_scoped_release>(), "True if it was there. Engines that use it keep it.");
}
