// SPDX-License-Identifier: Apache-2.0
// Buffers of Python's in C++ hands.
#ifndef DOVETAIL_BINDINGS_BUFFER_HPP
#define DOVETAIL_BINDINGS_BUFFER_HPP

#include <pybind11/pybind11.h>

#include <memory>

namespace dovetail {

namespace py = pybind11;

// Held until the last owner lets go, whichever thread that is.
std::shared_ptr<Py_buffer> hold_buffer(const py::handle& object, int flags);

}  // namespace dovetail

#endif
