// SPDX-License-Identifier: Apache-2.0
#include "bindings/errors.hpp"

#include "bindings/module.hpp"

namespace dovetail {
namespace {

// Leaked: it is used until the interpreter is gone.
py::object& error_factory() {
  static py::object* const factory = new py::object(py::none());
  return *factory;
}

py::object plain_exception(const Failure& failure) {
  std::string text = failure.message;
  for (const auto& [left, right] : failure.facts) text += "\n  " + left + "  " + right;
  if (!failure.hint.empty()) text += "\n  " + failure.hint;
  return py::reinterpret_borrow<py::object>(PyExc_RuntimeError)(text);
}

// Text of plugins is theirs: what is not UTF-8 is shown as escapes, not refused.
py::str text(const std::string& bytes) {
  PyObject* decoded = PyUnicode_DecodeUTF8(bytes.data(), static_cast<Py_ssize_t>(bytes.size()), "backslashreplace");
  if (!decoded) throw py::error_already_set();
  return py::reinterpret_steal<py::str>(decoded);
}

}  // namespace

bool python_is_alive() {
#if PY_VERSION_HEX >= 0x030d0000
  return Py_IsInitialized() && !Py_IsFinalizing();
#else
  return Py_IsInitialized() && !_Py_IsFinalizing();
#endif
}

std::shared_ptr<void> hold(py::object object) {
  return std::shared_ptr<void>(object.release().ptr(), [](void* pointer) {
    if (!pointer || !python_is_alive()) return;
    py::gil_scoped_acquire gil;
    Py_DECREF(static_cast<PyObject*>(pointer));
  });
}

py::object held(const std::shared_ptr<void>& holder) {
  return py::reinterpret_borrow<py::object>(static_cast<PyObject*>(holder.get()));
}

py::object exception_of(const Failure& failure) {
  py::object exception;
  if (error_factory().is_none()) {
    exception = plain_exception(failure);
  } else {
    py::list facts;
    for (const auto& [left, right] : failure.facts) facts.append(py::make_tuple(text(left), text(right)));
    py::dict attributes;
    for (const auto& [name, value] : failure.attributes) attributes[text(name)] = text(value);
    exception =
        error_factory()(static_cast<int>(failure.code), text(failure.message), facts, text(failure.hint), attributes);
  }
  if (failure.origin) PyException_SetCause(exception.ptr(), held(failure.origin).release().ptr());
  return exception;
}

dt_code raise_from_python(Call* call, py::error_already_set& error) {
  std::string kind = "Exception", message = "no text", file;
  int line = 0;
  try {
    kind = py::str(error.type().attr("__name__"));
    message = py::str(error.value());
    py::object trace = error.trace() ? py::object(error.trace()) : py::object(py::none());
    while (!trace.is_none()) {
      file = py::str(trace.attr("tb_frame").attr("f_code").attr("co_filename"));
      line = trace.attr("tb_lineno").cast<int>();
      trace = trace.attr("tb_next");
    }
  } catch (const py::error_already_set&) {  // an exception whose text cannot be made
  } catch (const py::cast_error&) {
  }
  host_table()->raise(call, DT_PLUGIN_FAILED, kind.c_str(), message.c_str(), file.empty() ? nullptr : file.c_str(),
                      line);
  if (call) {
    if (error.trace()) PyException_SetTraceback(error.value().ptr(), error.trace().ptr());
    call->origin = hold(error.value());
  }
  return DT_PLUGIN_FAILED;
}

}  // namespace dovetail

void bind_errors(py::module_& m) {
  m.def(
      "set_error_factory", [](py::object factory) { dovetail::error_factory() = std::move(factory); },
      py::arg("factory"),
      "Failures are raised as factory(code, message, facts, hint, attributes); None: as RuntimeError.");
  py::register_exception_translator([](std::exception_ptr pointer) {
    try {
      if (pointer) std::rethrow_exception(pointer);
    } catch (const dovetail::Failure& failure) {
      try {
        const py::object exception = dovetail::exception_of(failure);
        PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(exception.ptr())), exception.ptr());
      } catch (py::error_already_set& error) {  // the factory itself failed
        error.restore();
      }
    }
  });
}
