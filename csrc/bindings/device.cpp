// SPDX-License-Identifier: Apache-2.0
// Devices other than the CPU as Python sees them: what there is, memory, streams, events, copies.
#include "runtime/device.hpp"

#include <pybind11/stl.h>

#include <optional>

#include "bindings/module.hpp"

namespace dovetail {
namespace {

void* pointer(uintptr_t address) { return reinterpret_cast<void*>(address); }
uintptr_t address(const void* pointer) { return reinterpret_cast<uintptr_t>(pointer); }

Device cuda(int32_t index) { return find_device(DT_DEVICE_CUDA, index); }

py::tuple cuda_devices() {
  std::string reason;
  std::vector<dt_device_info> devices;
  {
    py::gil_scoped_release release;
    devices = list_devices(DT_DEVICE_CUDA, &reason);
  }
  py::list list;
  for (const dt_device_info& info : devices) {
    py::dict facts;
    facts["name"] = py::str(info.name);
    facts["sm"] = info.sm;
    facts["multiprocessors"] = info.multiprocessors;
    facts["memory_bytes"] = info.memory_bytes;
    facts["bus"] = py::str(info.bus);
    list.append(facts);
  }
  return py::make_tuple(list, reason);
}

std::string cuda_version() {
  const dt_device_api* api = device_api(DT_DEVICE_CUDA);
  return api && api->version ? api->version : "";
}

// Directions follow from the addresses. A copy from or to memory of the host that is not page-locked may wait.
void copy(int32_t device, uintptr_t to, uintptr_t from, uint64_t bytes, uintptr_t stream) {
  py::gil_scoped_release release;
  const Device on = cuda(device);
  const DeviceScope scope(on);
  on.copy(pointer(to), pointer(from), bytes, pointer(stream));
}

void wait_for_stream(int32_t device, uintptr_t stream) {
  py::gil_scoped_release release;
  const Device on = cuda(device);
  const DeviceScope scope(on);
  on.wait(pointer(stream));
}

// Later work of `stream` waits for what is on `other` now.
void order_streams(int32_t device, uintptr_t stream, uintptr_t other) {
  if (stream == other) return;
  const Device on = cuda(device);
  const DeviceScope scope(on);
  const DeviceEvent event(on, false);
  on.record(event.handle(), pointer(other));
  on.stream_wait(pointer(stream), event.handle());
}

// `with CurrentDevice(1):`, for calls of other libraries that look at the thread's current device.
class CurrentDevice {
 public:
  explicit CurrentDevice(int32_t index) : device_(cuda(index)) {}
  void enter() { scope_.emplace(device_); }
  void exit(const py::args&) { scope_.reset(); }

 private:
  Device device_;
  std::optional<DeviceScope> scope_;
};

}  // namespace
}  // namespace dovetail

void bind_device(py::module_& m) {
  using namespace dovetail;
  m.def("cuda_driver", &cuda_driver_problem, "\"\" if the NVIDIA driver's library can be opened, else why not.");
  m.def("cuda_devices", &cuda_devices,
        "(list of facts, reason): the devices that an opened library offers, or none and why.");
  m.def("cuda_version", &cuda_version, "Of the library that offers CUDA devices and of the driver; \"\" without one.");
  m.def("cuda_current_device", [] { return cuda(-1).index(); }, "The calling thread's; raises where there is none.");
  m.def(
      "cuda_device_of", [](uintptr_t memory) { return cuda(-1).device_of(pointer(memory)); }, py::arg("address"),
      "Index of the device on whose memory the address points; -1 for the host's, -2 if that is page-locked.");
  m.def("copy", &copy, py::arg("device"), py::arg("to"), py::arg("from_"), py::arg("bytes"), py::arg("stream") = 0,
        "Enqueue a copy between addresses of device and host.");
  m.def("wait_for_stream", &wait_for_stream, py::arg("device"), py::arg("stream") = 0);
  m.def("order_streams", &order_streams, py::arg("device"), py::arg("stream"), py::arg("other"),
        "Let later work of `stream` wait for what `other` holds now.");
  py::class_<DeviceMemory, std::shared_ptr<DeviceMemory>>(m, "DeviceMemory", "Memory of a GPU, freed with its owner.")
      .def(py::init([](uint64_t bytes, int32_t device) {
             py::gil_scoped_release release;
             return std::make_shared<DeviceMemory>(cuda(device), bytes, "an array");
           }),
           py::arg("bytes"), py::arg("device") = -1, "Raises MemoryLimitError.")
      .def_property_readonly("address", [](const DeviceMemory& self) { return address(self.data()); })
      .def_property_readonly("bytes", &DeviceMemory::bytes);
  py::class_<CurrentDevice>(m, "CurrentDevice", "A context manager: the device is the calling thread's current one.")
      .def(py::init<int32_t>(), py::arg("device"))
      .def("__enter__", &CurrentDevice::enter)
      .def("__exit__", &CurrentDevice::exit);
  py::class_<DeviceStream>(m, "Stream", "A stream that does not wait for the default stream.")
      .def(py::init([](int32_t device) { return std::make_unique<DeviceStream>(cuda(device)); }),
           py::arg("device") = -1)
      .def_property_readonly("handle", [](const DeviceStream& self) { return address(self.handle()); })
      .def("__int__", [](const DeviceStream& self) { return address(self.handle()); })
      .def(
          "synchronize", [](const DeviceStream& self) { self.device().wait(self.handle()); },
          py::call_guard<py::gil_scoped_release>());
}
