// SPDX-License-Identifier: Apache-2.0
// dovetail._native: the tables of plugin.h and the native half of the machine.
#include "bindings/module.hpp"

#include <cstring>

#include "dovetail/plugin.h"
#include "runtime/dims.hpp"
#include "runtime/epilogue.hpp"
#include "runtime/layout.hpp"

namespace {

template <typename... Values>
void append(py::list& rows, Values... values) {
  rows.append(py::make_tuple(values...));
}

// Each table keeps the columns and the order of its X macro.
void bind_tables(py::module_& m) {
  py::list codes, data_types, formats, operations, float_operations, roundings, fields, features, steps;
#define DT_CODE(name, value, error) append(codes, #name, value, error);
#define DT_TYPE(name, value, bits, dlpack, word, log) append(data_types, #name, value, bits, dlpack, word, log);
#define DT_FORMAT(name, value, lanes, kind, spatial, word) append(formats, #name, value, lanes, kind, spatial, word);
#define DT_OPERATION(name, value) append(operations, #name, value);
#define DT_FLOAT_OPERATION(name, value) append(float_operations, #name, value);
#define DT_ROUNDING(name, value) append(roundings, #name, value);
#define DT_FIELD(name, value, bytes) append(fields, #name, value, bytes);
#define DT_FEATURE(name, bit) append(features, #name, bit);
#define DT_STEP(name, value, n_operands, formula) append(steps, #name, value, n_operands, formula);
  DT_CODES(DT_CODE)
  DT_DATA_TYPES(DT_TYPE)
  DT_TENSOR_FORMATS(DT_FORMAT)
  DT_DIM_OPERATIONS(DT_OPERATION)
  DT_FLOAT_OPERATIONS(DT_FLOAT_OPERATION)
  DT_ROUNDINGS(DT_ROUNDING)
  DT_FIELD_TYPES(DT_FIELD)
  DT_CPU_FEATURES(DT_FEATURE)
  DT_STEP_OPERATIONS(DT_STEP)
  m.attr("CODES") = codes;
  m.attr("DATA_TYPES") = data_types;
  m.attr("TENSOR_FORMATS") = formats;
  m.attr("DIM_OPERATIONS") = operations;
  m.attr("FLOAT_OPERATIONS") = float_operations;
  m.attr("ROUNDINGS") = roundings;
  m.attr("FIELD_TYPES") = fields;
  m.attr("CPU_FEATURES") = features;
  m.attr("STEP_OPERATIONS") = steps;
  m.attr("MAX_EPILOGUE_STEPS") = dovetail::kMaxEpilogueSteps;
  m.attr("ABI_VERSION") = py::make_tuple(DT_ABI_MAJOR, DT_ABI_MINOR);
  m.attr("VERSION") = DOVETAIL_VERSION;
  m.attr("MAX_BYTES") = dovetail::kMaxBytes;
  m.attr("MAX_PROGRAM_LENGTH") = dovetail::kMaxProgramLength;
  m.attr("MAX_PROGRAM_DEPTH") = dovetail::kMaxProgramDepth;
  m.attr("MAX_PROGRAM_WORDS") = dovetail::kMaxProgramWords;
}

PyObject* refuse_new(PyTypeObject* type, PyObject*, PyObject*) {
  PyErr_Format(PyExc_TypeError, "%s cannot be made from Python: the runtime hands its objects out", type->tp_name);
  return nullptr;
}

void* refuse_unmade(size_t) { throw py::type_error("this object was never made: its __init__ was not called"); }

// All overloads of a function of pybind11's, a method of a class or a function of a property; null for anything else.
py::detail::function_record* overloads_of(py::handle function) {
  function = py::detail::get_function(function);
  if (!function || !PyCFunction_Check(function.ptr())) return nullptr;
  PyObject* const self = PyCFunction_GET_SELF(function.ptr());
  return self ? py::detail::function_record_ptr_from_PyObject(self) : nullptr;
}

// pybind11 takes None for a null `self` where a method was bound without names of arguments, and the method crashes.
void refuse_none_as_self(py::handle function) {
  for (py::detail::function_record* record = overloads_of(function); record; record = record->next)
    if (record->is_method && record->args.empty())
      record->args.emplace_back(::strdup("self"), nullptr, py::handle(), /*convert=*/true, /*none=*/false);
}

// pybind11 gives an object whose __init__ was not called memory that holds anything at all when a method is called,
// which crashes: X.__new__(X), and what derives from X and forgets super().__init__(). And so does X.method(None).
void refuse_wrong_selves(const py::module_& m) {
  for (const auto& [name, value] : py::reinterpret_borrow<py::dict>(m.attr("__dict__"))) {
    if (!PyType_Check(value.ptr())) continue;
    auto* type = reinterpret_cast<PyTypeObject*>(value.ptr());
    py::detail::type_info* info = py::detail::get_type_info(type);
    if (!info) continue;
    info->operator_new = refuse_unmade;  // it is asked for memory in that case alone
    if (type->tp_init == py::detail::pybind11_object_init) type->tp_new = refuse_new;  // it has no constructor
    for (const auto& [member_name, member] : py::dict(value.attr("__dict__"))) {
      const bool is_property = PyObject_TypeCheck(member.ptr(), &PyProperty_Type) != 0;
      refuse_none_as_self(is_property ? py::object(member.attr("fget")) : py::reinterpret_borrow<py::object>(member));
      if (is_property) refuse_none_as_self(member.attr("fset"));
    }
  }
}

}  // namespace

PYBIND11_MODULE(_native, m) {
  m.doc() = "Native half of dovetail: tables of the C interface, libraries, plans and their execution.";
  bind_tables(m);
  bind_errors(m);
  bind_objects(m);
  bind_library(m);
  bind_device_array(m);
  bind_python_plugin(m);
  bind_buffers(m);
  bind_engine(m);
  bind_context(m);
  bind_device(m);
  bind_dlpack(m);
  refuse_wrong_selves(m);
}
