// SPDX-License-Identifier: Apache-2.0
#include "bindings/device_array.hpp"

#include <pybind11/stl.h>

#include <utility>

#include "bindings/module.hpp"
#include "runtime/layout.hpp"

namespace dovetail {
namespace {

const TypeInfo& info_of(int32_t data_type) {
  const TypeInfo* info = type_info(data_type);
  if (!info) throw py::value_error("no data type: " + std::to_string(data_type));
  return *info;
}

py::tuple to_tuple(const std::vector<int64_t>& values, int64_t factor = 1) {
  py::tuple result(values.size());
  for (size_t i = 0; i < values.size(); ++i) result[i] = values[i] * factor;
  return result;
}

}  // namespace

DeviceArray::DeviceArray(uintptr_t pointer, std::vector<int64_t> shape, std::vector<int64_t> strides, int32_t data_type,
                         int32_t device_id, bool is_read_only, std::shared_ptr<void> owner)
    : pointer_(pointer),
      shape_(std::move(shape)),
      strides_(std::move(strides)),
      data_type_(data_type),
      device_id_(device_id),
      is_read_only_(is_read_only),
      has_strides_(!strides_.empty()),
      owner_(std::move(owner)) {
  info_of(data_type);
  if (has_strides_ && strides_.size() != shape_.size()) throw py::value_error("as many strides as extents");
  if (has_strides_) return;
  strides_.resize(shape_.size());
  int64_t step = 1;
  for (size_t i = shape_.size(); i-- > 0;) {
    strides_[i] = step;
    step *= shape_[i];
  }
}

py::tuple DeviceArray::shape() const { return to_tuple(shape_); }

std::string DeviceArray::type() const { return py::cast<std::string>(numpy_type(data_type_).attr("str")); }

uint64_t DeviceArray::bytes() const {
  uint64_t n = static_cast<uint64_t>(info_of(data_type_).bits / 8);
  for (const int64_t extent : shape_) n *= static_cast<uint64_t>(extent);
  return n;
}

py::str DeviceArray::repr() const {
  return py::str("<DeviceArray {} {} on CUDA device {}>").format(type(), shape(), device_id_);
}

py::dict DeviceArray::cuda_array_interface() const {
  py::dict facts;
  facts["shape"] = shape();
  facts["strides"] = has_strides_ ? py::object(to_tuple(strides_, info_of(data_type_).bits / 8)) : py::none();
  facts["typestr"] = type();
  facts["data"] = py::make_tuple(pointer_, is_read_only_);
  facts["version"] = 3;
  return facts;
}

py::tuple DeviceArray::dlpack_device() const { return py::make_tuple(static_cast<int>(DT_DEVICE_CUDA), device_id_); }

py::tuple DeviceArray::dlpack_type() const {
  const TypeInfo& info = info_of(data_type_);
  return py::make_tuple(info.dlpack_code, info.bits);
}

}  // namespace dovetail

void bind_device_array(py::module_& m) {
  using dovetail::DeviceArray;
  py::class_<DeviceArray>(m, "DeviceArray",
                          "A tensor on a CUDA device, as a Python plugin is handed it. torch.from_dlpack(array) and\n"
                          "cupy.asarray(array) see its memory, int(array) is its address. Kept, it keeps the memory\n"
                          "alive, but the contents are the tensor's until enqueue returns only: keep a copy.")
      .def(py::init([](uintptr_t pointer, std::vector<int64_t> shape, std::vector<int64_t> strides, int32_t dtype,
                       int32_t device, bool is_read_only) {
             return DeviceArray(pointer, std::move(shape), std::move(strides), dtype, device, is_read_only);
           }),
           py::arg("pointer"), py::arg("shape"), py::arg("strides") = std::vector<int64_t>(), py::arg("dtype") = 0,
           py::arg("device") = 0, py::arg("read_only") = false)
      .def_property_readonly("pointer", &DeviceArray::pointer)
      .def_property_readonly("shape", &DeviceArray::shape)
      .def_property_readonly("nbytes", &DeviceArray::bytes)
      .def_property_readonly("__cuda_array_interface__", &DeviceArray::cuda_array_interface)
      .def("__dlpack_device__", &DeviceArray::dlpack_device)
      .def(
          "__dlpack__",
          [](const py::object& self, const py::kwargs&) {
            const auto& array = py::cast<const DeviceArray&>(self);
            if (array.has_strides()) throw py::buffer_error("a strided array; take it by __cuda_array_interface__");
            const py::tuple type = array.dlpack_type(), device = array.dlpack_device();
            return py::module_::import("dovetail._native")
                .attr("lend_dlpack")(self, array.pointer(), array.shape(), type[0], type[1], device[0], device[1]);
          },
          "Nothing is waited for, whatever stream the consumer names: use it on the stream that enqueue got.")
      .def(
          "__array__",
          [](const DeviceArray& self, const py::object& dtype, const py::object&) -> py::object {
            const auto numpy = py::module_::import("numpy");
            if (!dtype.is_none() && numpy.attr("dtype")(dtype).attr("str").cast<std::string>().substr(1) == "i8")
              return numpy.attr("asarray")(self.pointer(), dtype);  // np.int64(array), for arguments of kernels
            throw py::type_error(
                py::cast<std::string>(self.repr()) +
                " is not in host memory: take it with torch.from_dlpack(array) or cupy.asarray(array)");
          },
          py::arg("dtype") = py::none(), py::arg("copy") = py::none(),
          "Raises TypeError: NumPy cannot reach the memory of a device. np.int64(array) is its address.")
      .def("__int__", &DeviceArray::pointer)
      .def("__index__", &DeviceArray::pointer)
      .def("__repr__", &DeviceArray::repr);
}
