// SPDX-License-Identifier: Apache-2.0
// The bind_* functions of the binding files, called by module.cpp.
#ifndef DOVETAIL_BINDINGS_MODULE_HPP
#define DOVETAIL_BINDINGS_MODULE_HPP

#include <pybind11/pybind11.h>

namespace py = pybind11;

void bind_buffers(py::module_& m);
void bind_context(py::module_& m);
void bind_device_array(py::module_& m);
void bind_device(py::module_& m);
void bind_dlpack(py::module_& m);
void bind_engine(py::module_& m);
void bind_errors(py::module_& m);
void bind_library(py::module_& m);
void bind_objects(py::module_& m);
void bind_python_plugin(py::module_& m);

#endif
