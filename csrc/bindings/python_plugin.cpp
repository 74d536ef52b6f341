// SPDX-License-Identifier: Apache-2.0
// Implementations written in Python, behind the same C table as all others.
#include <pybind11/gil_safe_call_once.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <utility>

#include "bindings/errors.hpp"
#include "bindings/module.hpp"
#include "bindings/native.hpp"
#include "bindings/python_context.hpp"

namespace dovetail {
namespace {

// `create` is handed no closure, so each implementation gets a function of its own out of this many.
constexpr size_t kMaxImplementations = 1024;

class Gil {
 public:
  Gil() : state_(PyGILState_Ensure()) {}
  ~Gil() { PyGILState_Release(state_); }
  Gil(const Gil&) = delete;
  Gil& operator=(const Gil&) = delete;

 private:
  PyGILState_STATE state_;
};

// Runs Python under the GIL; what it throws becomes a code and a text in `call`.
template <typename Function>
dt_code guarded(void* handle, Function function) {
  Call* call = static_cast<Call*>(handle);
  const auto failed = [&](const char* kind, const char* text, dt_code code = DT_PLUGIN_FAILED) {
    host_table()->raise(call, code, kind, text, nullptr, 0);
    return code;
  };
  if (!python_is_alive()) return failed(nullptr, "the Python interpreter is shutting down");
  Gil gil;
  try {
    function();
    return DT_OK;
  } catch (py::error_already_set& error) {
    return raise_from_python(call, error);
  } catch (const Failure& failure) {
    return failed(nullptr, failure.message.c_str(), failure.code);
  } catch (const std::exception& error) {
    return failed("std::exception", error.what());
  }
}

py::object planned_desc(const dt_desc* desc) {
  if (!desc) return py::none();
  const py::object& ranged = desc_factory().ranged;
  const py::tuple dims = extents(desc->dims, desc->ndim);
  if (ranged.is_none()) return make_desc(dims, desc->data_type, desc->format, desc->scale);
  return ranged(dims, desc->data_type, desc->format, desc->scale, py::arg("min") = extents(desc->min, desc->ndim),
                py::arg("opt") = extents(desc->opt, desc->ndim), py::arg("max") = extents(desc->max, desc->ndim));
}

py::list planned_descs(const dt_desc* const* descs, int32_t n) {
  py::list result;
  for (int32_t i = 0; i < n; ++i) result.append(planned_desc(descs[i]));
  return result;
}

// What stands behind the void* of an object.
struct PythonObject {
  py::object self;
  bool has(const char* name) const { return py::hasattr(self, name); }
};

// Frees what holds Python objects; leaks it once the interpreter is going down.
template <typename T>
void free_python(void* pointer) {
  if (!python_is_alive()) return;
  Gil gil;
  delete static_cast<T*>(pointer);
}

// ---- the functions of the table

py::object& self_of(void* object) { return static_cast<PythonObject*>(object)->self; }

dt_code supports(void* call, void* object, int32_t pos, const dt_desc* const* in_out, int32_t n_inputs,
                 int32_t n_outputs, int32_t* yes) {
  return guarded(call, [&] {
    // Those after pos are not filled: Python does not get to see them either.
    py::list descs;
    for (int32_t i = 0; i < n_inputs + n_outputs; ++i) {
      descs.append(i <= pos ? planned_desc(in_out[i]) : py::object(py::none()));
    }
    const py::object answer = self_of(object).attr("supports")(pos, descs, n_inputs, n_outputs);
    const int truth = PyObject_IsTrue(answer.ptr());
    if (truth < 0) throw py::error_already_set();
    *yes = truth;
  });
}

dt_code configure(void* call, void* object, const dt_desc* const* inputs, int32_t n_inputs,
                  const dt_desc* const* outputs, int32_t n_outputs) {
  return guarded(call, [&] {
    if (!static_cast<PythonObject*>(object)->has("configure")) return;
    self_of(object).attr("configure")(planned_descs(inputs, n_inputs), planned_descs(outputs, n_outputs));
  });
}

dt_code workspace(void* call, void* object, const dt_desc* const* inputs, int32_t n_inputs,
                  const dt_desc* const* outputs, int32_t n_outputs, int32_t, uint64_t* bytes) {
  return guarded(call, [&] {
    if (!static_cast<PythonObject*>(object)->has("workspace")) return;
    const py::object answer =
        self_of(object).attr("workspace")(planned_descs(inputs, n_inputs), planned_descs(outputs, n_outputs));
    const auto number = py::reinterpret_steal<py::object>(PyNumber_Index(answer.ptr()));
    const uint64_t value = number ? PyLong_AsUnsignedLongLong(number.ptr()) : 0;
    if (PyErr_Occurred()) throw py::error_already_set();
    *bytes = value;
  });
}

dt_code make_context(void* call, void* object, void** context) {
  return guarded(call, [&] { *context = new PythonContext(self_of(object)); });
}

void drop_context(void* context) {
  if (!python_is_alive()) return;  // its objects went with the interpreter
  Call call;                       // nobody is told: a drop cannot fail
  guarded(&call, [&] { static_cast<PythonContext*>(context)->drop(); });
  if (!call.message.empty())
    log_line(DT_LOG_ERROR, "drop of a Python context raised " + call.kind + ": " + call.message);
  free_python<PythonContext>(context);
}

dt_code shape_changed(void* context, const dt_run* run) {
  return guarded(run->call, [&] { static_cast<PythonContext*>(context)->shape_changed(run); });
}

dt_code enqueue(void* context, const dt_run* run) {
  return guarded(run->call, [&] { static_cast<PythonContext*>(context)->enqueue(run); });
}

// ---- the table

class PythonImplementation {
 public:
  PythonImplementation(std::string op, std::string name, int32_t device, const py::iterable& rows, py::object factory,
                       uint32_t traits)
      : op_(std::move(op)), name_(std::move(name)), factory_(hold(std::move(factory))) {
    for (const py::handle given : rows) add_row(py::cast<py::dict>(given));
    for (const dt_row& row : rows_) row_pointers_.push_back(&row);
    table.h = DT_HDR(dt_implementation);
    table.op = op_.c_str();
    table.name = name_.c_str();
    table.device = device;
    table.traits = traits | DT_TRAIT_PYTHON;
    table.n_rows = static_cast<uint32_t>(row_pointers_.size());
    table.rows = row_pointers_.data();
    table.supports = rows_.empty() ? supports : nullptr;
    table.destroy = free_python<PythonObject>;
    table.configure = configure;
    table.workspace = rows_.empty() ? workspace : nullptr;
    table.make_context = make_context;
    table.drop_context = drop_context;
    table.shape_changed = shape_changed;
    table.enqueue = rows_.empty() ? enqueue : nullptr;
    take_slot();
  }
  ~PythonImplementation() {
    if (slot_ < kMaxImplementations) slots()[slot_].store(nullptr);
  }
  PythonImplementation(const PythonImplementation&) = delete;
  PythonImplementation& operator=(const PythonImplementation&) = delete;

  std::string id() const { return op_ + "#" + name_; }
  dt_implementation table = {};

 private:
  using Slots = std::array<std::atomic<PythonImplementation*>, kMaxImplementations>;
  static Slots& slots() {
    static Slots* const slots = new Slots{};
    return *slots;
  }

  template <size_t N>
  static dt_code create_at(void* call, const char* layer, uint32_t n, const dt_field* const* fields, void** object) {
    return slots()[N].load()->create(call, layer, n, fields, object);
  }

  template <size_t... N>
  static decltype(dt_implementation::create) create_function(size_t slot, std::index_sequence<N...>) {
    static constexpr decltype(dt_implementation::create) kFunctions[] = {&create_at<N>...};
    return kFunctions[slot];
  }

  void take_slot() {
    for (size_t i = 0; i < kMaxImplementations; ++i) {
      PythonImplementation* empty = nullptr;
      if (!slots()[i].compare_exchange_strong(empty, this)) continue;
      slot_ = i;
      table.create = create_function(i, std::make_index_sequence<kMaxImplementations>());
      return;
    }
    throw Failure{DT_OUT_OF_MEMORY,
                  id() + " cannot be made: too many implementations are written in Python",
                  {{"limit", std::to_string(kMaxImplementations) + " in one process"}},
                  "Let go of those not in use."};
  }

  void add_row(const py::dict& given) {
    dt_row row = {};
    row.h = DT_HDR(dt_row);
    row.tactic = keep(given["tactic"]);
    row.types = keep(given["types"]);
    row.formats = given.contains("formats") ? keep(given["formats"]) : "linear";
    row.workspace = workspace;
    row.enqueue = enqueue;
    check(row.types, false);
    check(row.formats, true);
    rows_.push_back(row);
  }

  const char* keep(const py::object& text) {
    texts_.push_back(py::cast<std::string>(text));
    return texts_.back().c_str();
  }

  void check(const char* words, bool are_formats) const {
    RowSide inputs, outputs;
    std::string error;
    if (parse_row(words, are_formats, &inputs, &outputs, &error)) return;
    throw Failure{DT_INVALID_ARGUMENT,
                  id() + " cannot have a row '" + words + "'",
                  {{are_formats ? "formats" : "types", error}},
                  ""};
  }

  dt_code create(void* call, const char* layer, uint32_t n, const dt_field* const* fields, void** object) const {
    return guarded(call, [&] {
      py::dict values;
      for (uint32_t i = 0; i < n; ++i) values[fields[i]->name] = field_to_python(*fields[i], true);
      *object = new PythonObject{held(factory_).attr("create")(layer, values)};
    });
  }

  std::string op_, name_;
  std::shared_ptr<void> factory_;
  std::deque<std::string> texts_;
  std::deque<dt_row> rows_;
  std::vector<const dt_row*> row_pointers_;
  size_t slot_ = kMaxImplementations;
};

NativeImplementation make_python_implementation(const std::string& op, const std::string& name, int32_t device,
                                                const py::iterable& rows, const py::object& factory, uint32_t traits) {
  auto made = std::make_shared<PythonImplementation>(op, name, device, rows, factory, traits);
  NativeImplementation native;
  native.table = &made->table;
  native.id = made->id();
  native.keep = std::move(made);
  return native;
}

}  // namespace
}  // namespace dovetail

void bind_python_plugin(py::module_& m) {
  using namespace dovetail;
  m.def(
      "set_desc_factory",
      [](py::object plain, py::object ranged) {
        desc_factory().plain = std::move(plain);
        desc_factory().ranged = std::move(ranged);
      },
      py::arg("plain"), py::arg("ranged") = py::none(),
      "Python plugins get plain(dims, dtype, format, scale) at run time, and while planning\n"
      "ranged(dims, dtype, format, scale, min=, opt=, max=) where it is given.");
  m.def("make_python_implementation", make_python_implementation, py::arg("op"), py::arg("name"), py::arg("device"),
        py::arg("rows"), py::arg("factory"), py::arg("traits") = 0,
        "A table whose functions call factory.create(layer, fields) and the methods of what that returns.\n"
        "Where the data decide extents, enqueue may return a tuple with the dims that it gave each output: they have\n"
        "to be what its size outputs say.");
}
