// SPDX-License-Identifier: Apache-2.0
// Descriptions, field values and arrays between Python and the C tables.
#include <algorithm>
#include <cmath>
#include <cstring>

#include <pybind11/gil_safe_call_once.h>

#include "bindings/errors.hpp"
#include "bindings/native.hpp"
#include "runtime/layout.hpp"

namespace dovetail {
namespace {

void copy_extents(const py::object& extents, int64_t* to, int32_t rank, const char* what) {
  // Items are taken as they lie: a build reads a million of them, and Dims has a __getitem__ in Python.
  const auto sequence = py::reinterpret_steal<py::object>(PySequence_Fast(extents.ptr(), "extents are a sequence"));
  if (!sequence) throw py::error_already_set();
  const Py_ssize_t size = PySequence_Fast_GET_SIZE(sequence.ptr());
  if (size != rank) {
    throw Failure{DT_INVALID_ARGUMENT,
                  std::string("a tensor description cannot have `") + what + "` of another rank than dims",
                  {{"dims", std::to_string(rank)}, {what, std::to_string(size)}},
                  ""};
  }
  for (int32_t i = 0; i < rank; ++i) {
    to[i] = py::cast<int64_t>(py::handle(PySequence_Fast_GET_ITEM(sequence.ptr(), i)));
  }
}

// Names of attributes, made once: a build reads ten thousand descriptions.
struct DescNames {
  py::str dims{"dims"}, min{"min"}, opt{"opt"}, max{"max"}, dtype{"dtype"}, format{"format"}, scale{"scale"},
      flags{"flags"}, data{"data"};
};

const DescNames& desc_names() {
  PYBIND11_CONSTINIT static py::gil_safe_call_once_and_store<DescNames> storage;
  return storage.call_once_and_store_result([] { return DescNames(); }).get_stored();
}

// A bound of the dims; where it is the same object as they, as of a tensor whose extents are known, they are copied.
void copy_bound(const py::object& given, const py::str& name, const char* what, const py::object& dims,
                const dt_desc& desc, int64_t* to) {
  const py::object bound = py::getattr(given, name, dims);
  if (bound.is(dims)) {
    std::copy_n(desc.dims, desc.ndim, to);
  } else {
    copy_extents(bound, to, desc.ndim, what);
  }
}

dt_desc desc_of(const py::object& given, std::vector<py::object>* keep) {
  const DescNames& names = desc_names();
  dt_desc desc = {};
  desc.h = DT_HDR(dt_desc);
  const py::object dims = given.attr(names.dims);
  const size_t rank = py::len(dims);
  if (rank > DT_MAX_RANK) {
    throw Failure{DT_SHAPE, "a tensor cannot have rank " + std::to_string(rank), {{"most", "8"}}, ""};
  }
  desc.ndim = static_cast<int32_t>(rank);
  copy_extents(dims, desc.dims, desc.ndim, "dims");
  copy_bound(given, names.min, "min", dims, desc, desc.min);
  copy_bound(given, names.opt, "opt", dims, desc, desc.opt);
  copy_bound(given, names.max, "max", dims, desc, desc.max);
  desc.data_type = py::cast<int32_t>(given.attr(names.dtype));
  desc.format = py::cast<int32_t>(given.attr(names.format));
  desc.scale = py::cast<float>(py::getattr(given, names.scale, py::float_(-1.0)));
  desc.flags = py::cast<uint32_t>(py::getattr(given, names.flags, py::int_(0)));
  const py::object data = py::getattr(given, names.data, py::none());
  if (data.is_none()) return desc;
  const auto array = py::array::ensure(data, py::array::c_style);
  uint64_t needed = 0;
  if (!array || !tensor_bytes(desc.dims, desc.ndim, desc.data_type, desc.format, &needed) ||
      static_cast<uint64_t>(array.nbytes()) < needed) {
    const std::string bytes = array ? std::to_string(array.nbytes()) + " bytes" : "no array";
    throw Failure{DT_INVALID_ARGUMENT,
                  "a constant's data does not fill it",
                  {{"tensor", tensor_text(desc.data_type, desc.format, desc.dims, desc.ndim) + ", " +
                                  std::to_string(needed) + " bytes"},
                   {"data", bytes}},
                  ""};
  }
  desc.data = array.data();
  desc.flags |= DT_TENSOR_CONSTANT;
  keep->push_back(array);
  return desc;
}

// numpy's name of a type -> DT_TYPE_*, -1 for none.
int32_t data_type_named(const std::string& name) {
  static const struct {
    const char* name;
    int32_t type;
  } kNames[] = {{"float32", DT_TYPE_FLOAT}, {"float16", DT_TYPE_HALF},  {"int8", DT_TYPE_INT8},
                {"int32", DT_TYPE_INT32},   {"bool", DT_TYPE_BOOL},     {"uint8", DT_TYPE_UINT8},
                {"int64", DT_TYPE_INT64},   {"bfloat16", DT_TYPE_BF16}, {"float8_e4m3fn", DT_TYPE_FP8}};
  for (const auto& known : kNames) {
    if (name == known.name) return known.type;
  }
  return -1;
}

TensorValue tensor_value(const py::object& given, const std::string& subject, const std::string& field) {
  const auto array = py::array::ensure(given, py::array::c_style);
  const std::string type = array ? py::cast<std::string>(py::str(array.dtype().attr("name"))) : "no array";
  TensorValue value;
  value.data_type = array ? data_type_named(type) : -1;
  if (value.data_type < 0) {
    PyErr_Clear();
    throw Failure{DT_INVALID_ARGUMENT,
                  subject + " cannot take this as " + field,
                  {{field, "takes a tensor of a data type of dovetail, got " + type}},
                  "",
                  nullptr,
                  {{"op", subject}, {"field", field}}};
  }
  value.dims.assign(array.shape(), array.shape() + array.ndim());
  value.data = array.data();
  value.keep = hold(array);
  return value;
}

bool is_real(const py::handle& value) { return PyFloat_Check(value.ptr()) != 0 || !PyIndex_Check(value.ptr()); }

[[noreturn]] void refuse_value(const std::string& subject, const std::string& field, const py::handle& value) {
  throw Failure{DT_INVALID_ARGUMENT,
                subject + " cannot take this as " + field,
                {{field, py::cast<std::string>(py::repr(value)) + " is no number, text or array that fits its type"}},
                "",
                nullptr,
                {{"op", subject}, {"field", field}}};
}

void fill_numbers(FieldValue* field, const py::iterable& items, const std::string& subject) {
  bool real = false;
  for (const py::handle item : items) real = real || is_real(item);
  if (!real) {
    auto& integers = field->value.emplace<std::vector<int64_t>>();
    for (const py::handle item : items) {
      const auto index = py::reinterpret_steal<py::object>(PyNumber_Index(item.ptr()));
      const int64_t value = index ? PyLong_AsLongLong(index.ptr()) : -1;
      if (PyErr_Occurred()) {
        PyErr_Clear();
        refuse_value(subject, field->name, item);
      }
      integers.push_back(value);
    }
    return;
  }
  auto& floats = field->value.emplace<std::vector<double>>();
  for (const py::handle item : items) {
    const double value = PyFloat_AsDouble(item.ptr());
    if (value == -1.0 && PyErr_Occurred()) {
      PyErr_Clear();
      refuse_value(subject, field->name, item);
    }
    floats.push_back(value);
  }
}

double float_from_bits(uint16_t bits, int exponent_bits, int mantissa_bits) {
  const int exponent = (bits >> mantissa_bits) & ((1 << exponent_bits) - 1);
  const int mantissa = bits & ((1 << mantissa_bits) - 1);
  const int lowest = 2 - (1 << (exponent_bits - 1));
  double value = 0;
  if (exponent == (1 << exponent_bits) - 1) {
    value = mantissa ? NAN : INFINITY;
  } else if (exponent == 0) {
    value = std::ldexp(mantissa, lowest - mantissa_bits);
  } else {
    value = std::ldexp(mantissa + (1 << mantissa_bits), lowest + exponent - 1 - mantissa_bits);
  }
  return bits >> (exponent_bits + mantissa_bits) ? -value : value;
}

template <typename T>
T element(const void* data, int64_t i) {
  T value;
  std::memcpy(&value, static_cast<const char*>(data) + static_cast<size_t>(i) * sizeof(T), sizeof(T));
  return value;
}

py::object number(const dt_field& field, int64_t i) {
  switch (field.type) {
    case DT_FIELD_INT8:
      return py::int_(element<int8_t>(field.data, i));
    case DT_FIELD_INT16:
      return py::int_(element<int16_t>(field.data, i));
    case DT_FIELD_INT32:
      return py::int_(element<int32_t>(field.data, i));
    case DT_FIELD_INT64:
      return py::int_(element<int64_t>(field.data, i));
    case DT_FIELD_FLOAT32:
      return py::float_(element<float>(field.data, i));
    case DT_FIELD_FLOAT64:
      return py::float_(element<double>(field.data, i));
    case DT_FIELD_FLOAT16:
      return py::float_(float_from_bits(element<uint16_t>(field.data, i), 5, 10));
    case DT_FIELD_BF16:
      return py::float_(float_from_bits(element<uint16_t>(field.data, i), 8, 7));
  }
  return py::none();
}

// No owner: the memory lasts for the call in which the array is handed out.
const py::capsule& no_owner() {
  static const int anchor = 0;
  PYBIND11_CONSTINIT static py::gil_safe_call_once_and_store<py::capsule> storage;
  return storage.call_once_and_store_result([] { return py::capsule(&anchor, "dovetail.memory"); }).get_stored();
}

}  // namespace

py::capsule owner_capsule(const std::shared_ptr<void>& owner) {
  auto held = std::make_unique<std::shared_ptr<void>>(owner);
  py::capsule capsule(held.get(), "dovetail.memory",
                      [](void* pointer) { delete static_cast<std::shared_ptr<void>*>(pointer); });
  held.release();
  return capsule;
}

DescArray::DescArray(const py::sequence& descs) {
  for (const py::handle given : descs) {
    if (given.is_none()) {
      pointers_.push_back(nullptr);
      continue;
    }
    storage_.push_back(desc_of(py::reinterpret_borrow<py::object>(given), &data_));
    pointers_.push_back(&storage_.back());
  }
}

std::vector<FieldValue> field_values(const py::iterable& fields, const std::string& subject) {
  std::vector<FieldValue> values;
  for (const py::handle item : fields) {
    const auto triple = py::cast<py::tuple>(item);
    if (triple.size() != 3) throw py::value_error("fields are (name, wire type, value) triples");
    const py::object value = triple[2];
    if (value.is_none()) continue;
    FieldValue field;
    field.name = py::cast<std::string>(triple[0]);
    field.type = py::cast<int32_t>(triple[1]);
    if (field.type == DT_FIELD_TENSOR) {
      field.value = tensor_value(value, subject, field.name);
    } else if (PyUnicode_Check(value.ptr()) || PyBytes_Check(value.ptr())) {
      field.value = py::cast<std::string>(value);
    } else if (PySequence_Check(value.ptr()) && !(py::isinstance<py::array>(value) && py::array(value).ndim() == 0)) {
      fill_numbers(&field, py::cast<py::iterable>(value), subject);
    } else {
      fill_numbers(&field, py::make_tuple(value), subject);
    }
    values.push_back(std::move(field));
  }
  return values;
}

py::object field_to_python(const dt_field& field, bool is_scalar) {
  if (field.type == DT_FIELD_CHAR)
    return py::str(static_cast<const char*>(field.data), static_cast<size_t>(field.length));
  if (field.type == DT_FIELD_UNKNOWN) {
    return py::bytes(static_cast<const char*>(field.data), static_cast<size_t>(field.length));
  }
  if (field.type == DT_FIELD_TENSOR) {
    return array_view(*static_cast<const dt_tensor*>(field.data), false).attr("copy")();
  }
  if (field.type == DT_FIELD_DIMS) {  // a count, then extents
    const int64_t rank = std::min<int64_t>(std::max<int64_t>(element<int32_t>(field.data, 0), 0), DT_MAX_RANK);
    py::tuple extents(static_cast<size_t>(rank));
    for (int64_t i = 0; i < rank; ++i) extents[static_cast<size_t>(i)] = element<int64_t>(field.data, i + 1);
    return extents;
  }
  if (is_scalar && field.length == 1) return number(field, 0);
  py::tuple items(static_cast<size_t>(field.length));
  for (int64_t i = 0; i < field.length; ++i) items[static_cast<size_t>(i)] = number(field, i);
  return items;
}

py::tuple extents(const int64_t* values, int32_t n) {
  py::tuple result(static_cast<size_t>(n));
  for (int32_t i = 0; i < n; ++i) result[static_cast<size_t>(i)] = values[i];
  return result;
}

py::dtype numpy_type(int32_t data_type) {
  PYBIND11_CONSTINIT static py::gil_safe_call_once_and_store<std::vector<py::dtype>> storage;
  const auto& types = storage
                          .call_once_and_store_result([] {
                            std::vector<py::dtype> made;  // in the order of DT_DATA_TYPES
                            for (const char* name :
                                 {"float32", "float16", "int8", "int32", "bool", "uint8", "uint8", "uint16", "int64"}) {
                              made.push_back(py::dtype(std::string(name)));
                            }
                            return made;
                          })
                          .get_stored();
  return types.at(static_cast<size_t>(data_type));
}

py::array array_view(const dt_tensor& tensor, bool is_writable, const std::shared_ptr<void>& owner) {
  const py::dtype type = numpy_type(tensor.layout->data_type);
  std::vector<py::ssize_t> shape, strides;
  if (tensor.layout->format == DT_FORMAT_LINEAR || tensor.strides) {
    shape.assign(tensor.shape, tensor.shape + tensor.ndim);
    if (tensor.strides) {
      for (int32_t i = 0; i < tensor.ndim; ++i) strides.push_back(tensor.strides[i] * type.itemsize());
    }
  } else {
    uint64_t bytes = 0;
    tensor_bytes(tensor.shape, tensor.ndim, tensor.layout->data_type, tensor.layout->format, &bytes);
    shape.push_back(static_cast<py::ssize_t>(bytes) / type.itemsize());
  }
  const char* data = static_cast<const char*>(tensor.data) + tensor.byte_offset;
  py::array array(type, shape, strides, data, owner ? owner_capsule(owner) : no_owner());
  if (!is_writable) py::detail::array_proxy(array.ptr())->flags &= ~py::detail::npy_api::NPY_ARRAY_WRITEABLE_;
  return array;
}

}  // namespace dovetail
