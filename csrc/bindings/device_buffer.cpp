// SPDX-License-Identifier: Apache-2.0
#include "bindings/device_buffer.hpp"

#include <algorithm>

#include "runtime/layout.hpp"
#include "runtime/status.hpp"

namespace dovetail {

DeviceBuffer::DeviceBuffer(uint64_t bytes, const py::object& contents) : bytes_(bytes) {
  const Device device = find_device(DT_DEVICE_CUDA, -1);
  const DeviceScope scope(device);
  memory_ = DeviceMemory(device, std::max(bytes, kDeviceAlignment), "tensors of trials");
  if (contents.is_none() || !bytes) return;
  const auto view = py::cast<py::buffer>(contents).request();
  const auto given = static_cast<uint64_t>(view.size) * static_cast<uint64_t>(view.itemsize);
  if (!given) throw Failure{DT_BINDING, "nothing cannot be repeated", {{"bytes", std::to_string(bytes)}}, ""};
  const py::gil_scoped_release release;
  const DeviceStream stream(device);
  uint64_t filled = std::min(given, bytes);
  device.copy(memory_.data(), view.ptr, filled, stream.handle());
  while (filled < bytes) {  // twice as much each time; whole repetitions, since `filled` is a multiple of `given`
    const uint64_t more = std::min(filled, bytes - filled);
    device.copy(memory_.data() + filled, memory_.data(), more, stream.handle());
    filled += more;
  }
  device.wait(stream.handle());
}

}  // namespace dovetail
