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

// What a refusal of ours says beside its first line becomes part of what is said of the plugin; the hint.
py::str add_own_words(const py::object& origin, py::list facts, const py::str& hint) {
  const auto more = py::getattr(origin, "facts", py::list());
  if (py::isinstance<py::list>(more)) {
    size_t place = 1;
    for (const py::handle fact : more) facts.insert(place++, py::reinterpret_borrow<py::object>(fact));
  }
  const auto own = py::getattr(origin, "hint", py::str());
  return py::len(hint) == 0 && py::isinstance<py::str>(own) ? py::str(own) : hint;
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
  // Ctrl-C and sys.exit() end the call as they are; they are not failures of the plugin.
  if (failure.origin && !PyErr_GivenExceptionMatches(held(failure.origin).ptr(), PyExc_Exception))
    return held(failure.origin);
  py::object exception;
  if (error_factory().is_none()) {
    exception = plain_exception(failure);
  } else {
    py::list facts;
    for (const auto& [left, right] : failure.facts) facts.append(py::make_tuple(text(left), text(right)));
    py::str hint = text(failure.hint);
    if (failure.origin) hint = add_own_words(held(failure.origin), facts, hint);
    py::dict attributes;
    for (const auto& [name, value] : failure.attributes) attributes[text(name)] = text(value);
    exception = error_factory()(static_cast<int>(failure.code), text(failure.message), facts, hint, attributes);
  }
  if (failure.origin) PyException_SetCause(exception.ptr(), held(failure.origin).release().ptr());
  return exception;
}

namespace {

struct Place {
  std::string file;
  int line = 0;
};

bool is_ours(const py::handle& frame) {
  const std::string module = py::str(frame.attr("f_globals").attr("get")("__name__", ""));
  return module.rfind("dovetail.", 0) == 0 && module.rfind("dovetail.plugins.builtin.", 0) != 0;
}

// The innermost line in the file of the plugin's author: not ours, and not that of a library which was called. Where
// what its code returned was refused, it is not in the traceback, and the exception says where it is defined.
Place place_of(const py::object& exception, const py::object& traceback) {
  Place innermost, author;
  for (py::object trace = traceback; !trace.is_none(); trace = trace.attr("tb_next")) {
    const py::object frame = trace.attr("tb_frame");
    innermost = {py::str(frame.attr("f_code").attr("co_filename")), trace.attr("tb_lineno").cast<int>()};
    if (author.file.empty() ? !is_ours(frame) : author.file == innermost.file) author = innermost;
  }
  if (author.file.empty()) author.file = py::str(py::getattr(exception, "dovetail_where", py::str()));
  return author.file.empty() ? innermost : author;
}

}  // namespace

dt_code raise_from_python(Call* call, py::error_already_set& error) {
  std::string kind = "Exception", message = "no text", method;
  Place place;
  try {
    kind = py::str(error.type().attr("__name__"));
    // The first line of an error of ours; its facts and its hint are added to those of the failure.
    const auto first = py::getattr(error.value(), "message", py::none());
    message = py::str(py::isinstance<py::str>(first) ? py::object(first) : py::object(error.value()));
    if (message.empty()) message = "no text";
    place = place_of(error.value(), error.trace() ? py::object(error.trace()) : py::object(py::none()));
    method = py::str(py::getattr(error.value(), "dovetail_method", py::str()));
    for (const char* note : {"dovetail_method", "dovetail_where"}) {  // an exception may be raised again elsewhere
      if (py::hasattr(error.value(), note)) py::delattr(error.value(), note);
    }
  } catch (const py::error_already_set&) {  // an exception whose text cannot be made
  } catch (const py::cast_error&) {
  }
  host_table()->raise(call, DT_PLUGIN_FAILED, kind.c_str(), message.c_str(),
                      place.file.empty() ? nullptr : place.file.c_str(), place.line);
  if (call) {
    if (error.trace()) PyException_SetTraceback(error.value().ptr(), error.trace().ptr());
    call->origin = hold(error.value());
    call->method = method;
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
