// SPDX-License-Identifier: Apache-2.0
// Python buffers held by C++ code.
#ifndef DOVETAIL_BINDINGS_BUFFER_HPP
#define DOVETAIL_BINDINGS_BUFFER_HPP

#include <pybind11/pybind11.h>

#include <memory>

namespace dovetail {

namespace py = pybind11;

// Held until the last owner is gone, in any thread.
std::shared_ptr<Py_buffer> hold_buffer(const py::handle& object, int flags);

}  // namespace dovetail

#endif
