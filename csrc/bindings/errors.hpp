// SPDX-License-Identifier: Apache-2.0
// Conversions between dovetail::Failure and Python exceptions.
#ifndef DOVETAIL_BINDINGS_ERRORS_HPP
#define DOVETAIL_BINDINGS_ERRORS_HPP

#include <pybind11/pybind11.h>

#include <memory>
#include <string>

#include "runtime/host.hpp"

namespace dovetail {

namespace py = pybind11;

// A Python object held by C++ code: released under the GIL, and not at all while the interpreter shuts down.
std::shared_ptr<void> hold(py::object object);
// The Python object of a result of `hold`.
py::object held(const std::shared_ptr<void>& holder);

// False while the interpreter shuts down, when no Python code may run.
bool python_is_alive();

// The exception that Python raises for a failure: made by the error factory, with origin as its __cause__.
py::object exception_of(const Failure& failure);

// Leaves the Python exception in `call` as what was raised: type name, text, file and line of its last frame, and the
// exception itself as origin. Returns the code to hand back. Never throws; the GIL is held.
dt_code raise_from_python(Call* call, py::error_already_set& error);

}  // namespace dovetail

#endif
