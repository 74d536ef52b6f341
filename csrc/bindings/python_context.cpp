// SPDX-License-Identifier: Apache-2.0
#include "bindings/python_context.hpp"

namespace dovetail {

DescFactory& desc_factory() {
  static DescFactory* const factory = new DescFactory;
  return *factory;
}

py::tuple extents(const int64_t* values, int32_t n) {
  py::tuple result(static_cast<size_t>(n));
  for (int32_t i = 0; i < n; ++i) result[static_cast<size_t>(i)] = values[i];
  return result;
}

py::object make_desc(const py::tuple& dims, int32_t data_type, int32_t format, float scale) {
  const py::object& factory = desc_factory().plain;
  if (factory.is_none()) throw py::value_error("set_desc_factory was not called: import dovetail.core.tensor first");
  return factory(dims, data_type, format, scale);
}

DeviceArray device_array(const dt_tensor& tensor, bool is_read_only) {
  const py::array extents_only = array_view(tensor, false);  // of which nothing is read
  std::vector<int64_t> shape(extents_only.shape(), extents_only.shape() + extents_only.ndim()), strides;
  if (tensor.strides) strides.assign(tensor.strides, tensor.strides + tensor.ndim);
  const uintptr_t address = reinterpret_cast<uintptr_t>(tensor.data) + tensor.byte_offset;
  return DeviceArray(address, std::move(shape), std::move(strides), tensor.layout->data_type, tensor.device_id,
                     is_read_only);
}

}  // namespace dovetail
