// SPDX-License-Identifier: Apache-2.0
// Between dovetail::Failure and Python exceptions, both ways.
#ifndef DOVETAIL_BINDINGS_ERRORS_HPP
#define DOVETAIL_BINDINGS_ERRORS_HPP

#include <pybind11/pybind11.h>

#include <memory>
#include <string>

#include "runtime/host.hpp"

namespace dovetail {

namespace py = pybind11;

// A Python object in C++ hands: let go under the GIL, and not at all once the interpreter is going down.
std::shared_ptr<void> hold(py::object object);
// The object behind what `hold` gave.
py::object held(const std::shared_ptr<void>& holder);

// False once the interpreter is going down and no Python may run any more.
bool python_is_alive();

// The exception that Python raises for a failure: made by the error factory, with origin as its __cause__.
py::object exception_of(const Failure& failure);

// Leaves the Python exception in `call` as what was raised: type name, text, file and line of its last frame, and the
// exception itself as origin. Returns the code to hand back. Never throws; the GIL is held.
dt_code raise_from_python(Call* call, py::error_already_set& error);

}  // namespace dovetail

#endif
