// SPDX-License-Identifier: Apache-2.0
#include "bindings/python_context.hpp"

#include <algorithm>
#include <utility>

namespace dovetail {

DescFactory& desc_factory() {
  static DescFactory* const factory = new DescFactory;
  return *factory;
}

py::object make_desc(const py::tuple& dims, int32_t data_type, int32_t format, float scale) {
  const py::object& factory = desc_factory().plain;
  if (factory.is_none()) throw py::value_error("set_desc_factory was not called: import dovetail.core.tensor first");
  return factory(dims, data_type, format, scale);
}

DeviceArray device_array(const dt_tensor& tensor, bool is_read_only, std::shared_ptr<void> owner) {
  const py::array extents_only = array_view(tensor, false);  // of which nothing is read
  std::vector<int64_t> shape(extents_only.shape(), extents_only.shape() + extents_only.ndim()), strides;
  if (tensor.strides) strides.assign(tensor.strides, tensor.strides + tensor.ndim);
  const uintptr_t address = reinterpret_cast<uintptr_t>(tensor.data) + tensor.byte_offset;
  return DeviceArray(address, std::move(shape), std::move(strides), tensor.layout->data_type, tensor.device_id,
                     is_read_only, std::move(owner));
}

std::shared_ptr<void> owner_of(const dt_run* run, const void* data) {
  const MemoryOwners* owners = static_cast<const Call*>(run->call)->owners;
  return owners ? owners->owner_of(data) : nullptr;
}

namespace {

// Nobody knows how long the memory of this array lasts: give it a copy of its own. Views of it are not reached.
void move_to_copy(PyObject* array) {
  const auto view = py::reinterpret_borrow<py::array>(array);
  if (!(view.flags() & py::array::c_style)) return;  // its strides would not fit the copy
  py::object copy = view.attr("copy")();
  auto* proxy = py::detail::array_proxy(array);
  proxy->data = py::detail::array_proxy(copy.ptr())->data;
  Py_XDECREF(std::exchange(proxy->base, copy.release().ptr()));
}

}  // namespace

bool is_kept(const py::tuple& arrays) {
  if (arrays.empty()) return false;  // there is only one empty tuple
  if (Py_REFCNT(arrays.ptr()) != 1) return true;
  return std::any_of(arrays.begin(), arrays.end(),
                     [](py::handle array) { return !array.is_none() && Py_REFCNT(array.ptr()) != 1; });
}

void find_kept(PyObject* array, const std::shared_ptr<void>& owner, std::vector<MemoryRange>* kept) {
  if (!py::isinstance<py::array>(array)) return;  // None, or of a device: that keeps its memory, which stays in use
  const auto view = py::reinterpret_borrow<py::array>(array);
  if (owner)
    kept->push_back({view.data(), static_cast<uint64_t>(view.nbytes())});
  else
    move_to_copy(array);
}

}  // namespace dovetail
