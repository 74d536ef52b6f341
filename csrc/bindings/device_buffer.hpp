// SPDX-License-Identifier: Apache-2.0
// Memory of the current GPU that trials of several kernels share, so that each tensor is brought there once.
#ifndef DOVETAIL_BINDINGS_DEVICE_BUFFER_HPP
#define DOVETAIL_BINDINGS_DEVICE_BUFFER_HPP

#include <cstdint>

#include "bindings/native.hpp"
#include "runtime/device.hpp"

namespace dovetail {

class DeviceBuffer {
 public:
  // `bytes` bytes that hold `contents`, a buffer, again and again; None: whatever was there.
  DeviceBuffer(uint64_t bytes, const py::object& contents);
  void* data() const { return memory_.data(); }
  uint64_t bytes() const { return bytes_; }

 private:
  DeviceMemory memory_;
  uint64_t bytes_;
};

}  // namespace dovetail

#endif
