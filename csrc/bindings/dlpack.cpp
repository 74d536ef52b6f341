// SPDX-License-Identifier: Apache-2.0
// Arrays of other libraries on any device, and ours for them, through DLPack (https://dmlc.github.io/dlpack).
#include <pybind11/stl.h>

#include <memory>
#include <string>
#include <vector>

#include "bindings/module.hpp"
#include "runtime/host.hpp"

namespace dovetail {
namespace {

// The structs of DLPack before 1.0, which every library still offers and takes.
struct DLTensor {
  void* data;
  int32_t device_type, device_id;
  int32_t ndim;
  uint8_t type_code, type_bits;
  uint16_t type_lanes;
  int64_t* shape;
  int64_t* strides;  // elements; null: rows
  uint64_t byte_offset;
};
struct DLManagedTensor {
  DLTensor tensor;
  void* manager;
  void (*deleter)(DLManagedTensor* self);
};
constexpr const char* kName = "dltensor";
constexpr const char* kUsed = "used_dltensor";

// Another library's array; let go of on end.
class Borrowed {
 public:
  explicit Borrowed(const py::object& capsule) {
    if (!PyCapsule_IsValid(capsule.ptr(), kName))
      throw py::value_error("not a DLPack capsule, or one that was taken before");
    managed_ = static_cast<DLManagedTensor*>(PyCapsule_GetPointer(capsule.ptr(), kName));
    PyCapsule_SetName(capsule.ptr(), kUsed);
  }
  ~Borrowed() {
    if (managed_->deleter) managed_->deleter(managed_);
  }
  Borrowed(const Borrowed&) = delete;
  Borrowed& operator=(const Borrowed&) = delete;

  const DLTensor& tensor() const { return managed_->tensor; }
  uintptr_t address() const { return reinterpret_cast<uintptr_t>(tensor().data) + tensor().byte_offset; }
  std::vector<int64_t> shape() const { return {tensor().shape, tensor().shape + tensor().ndim}; }
  bool is_contiguous() const {
    int64_t step = 1;
    for (int32_t i = tensor().ndim - 1; tensor().strides && i >= 0; --i) {
      if (tensor().shape[i] == 0) return true;
      if (tensor().shape[i] != 1 && tensor().strides[i] != step) return false;
      step *= tensor().shape[i];
    }
    return true;
  }

 private:
  DLManagedTensor* managed_;
};

// What a capsule of ours holds on to.
struct Lent {
  DLManagedTensor managed = {};
  std::vector<int64_t> shape;
  PyObject* owner = nullptr;

  static void drop(DLManagedTensor* self) {
    Lent* lent = static_cast<Lent*>(self->manager);
    if (Py_IsInitialized()) {
      py::gil_scoped_acquire gil;
      Py_XDECREF(lent->owner);
    }
    delete lent;
  }
};

// A capsule nobody took still owns what it holds.
void drop_capsule(PyObject* capsule) {
  if (!PyCapsule_IsValid(capsule, kName)) return;
  auto* managed = static_cast<DLManagedTensor*>(PyCapsule_GetPointer(capsule, kName));
  managed->deleter(managed);
}

py::object lend(const py::object& owner, uintptr_t address, const std::vector<int64_t>& shape, uint8_t type_code,
                uint8_t type_bits, int32_t device_type, int32_t device_id) {
  auto lent = std::make_unique<Lent>();
  lent->shape = shape;
  DLTensor& tensor = lent->managed.tensor;
  tensor.data = reinterpret_cast<void*>(address);
  tensor.device_type = device_type;
  tensor.device_id = device_id;
  tensor.ndim = static_cast<int32_t>(shape.size());
  tensor.type_code = type_code;
  tensor.type_bits = type_bits;
  tensor.type_lanes = 1;
  tensor.shape = lent->shape.data();
  lent->managed.manager = lent.get();
  lent->managed.deleter = &Lent::drop;
  PyObject* capsule = PyCapsule_New(&lent->managed, kName, &drop_capsule);
  if (!capsule) throw py::error_already_set();
  lent->owner = owner.inc_ref().ptr();
  lent.release();
  return py::reinterpret_steal<py::object>(capsule);
}

}  // namespace
}  // namespace dovetail

void bind_dlpack(py::module_& m) {
  using namespace dovetail;
  py::class_<Borrowed>(m, "DLPackArray", "Another library's array, taken from its DLPack capsule.")
      .def(py::init<const py::object&>(), py::arg("capsule"))
      .def_property_readonly("address", &Borrowed::address)
      .def_property_readonly("shape", [](const Borrowed& self) { return py::tuple(py::cast(self.shape())); })
      .def_property_readonly(
          "type",
          [](const Borrowed& self) {
            const auto& tensor = self.tensor();
            return py::make_tuple(tensor.type_code, tensor.type_bits, tensor.type_lanes);
          },
          "(code, bits, lanes), DLPack's.")
      .def_property_readonly(
          "device",
          [](const Borrowed& self) { return py::make_tuple(self.tensor().device_type, self.tensor().device_id); })
      .def_property_readonly("is_contiguous", &Borrowed::is_contiguous);
  m.def("lend_dlpack", &lend, py::arg("owner"), py::arg("address"), py::arg("shape"), py::arg("type_code"),
        py::arg("type_bits"), py::arg("device_type"), py::arg("device_id"),
        "A DLPack capsule of memory that `owner` keeps alive.");
}
