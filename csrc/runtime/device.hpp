// SPDX-License-Identifier: Apache-2.0
// Devices other than the CPU, through the table that an opened library offers (dovetail/device.h).
#ifndef DOVETAIL_RUNTIME_DEVICE_HPP
#define DOVETAIL_RUNTIME_DEVICE_HPP

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "dovetail/device.h"
#include "runtime/host.hpp"

namespace dovetail {

inline constexpr int32_t kHost = -1, kPinned = -2;  // results of device_of for host memory

// One device. Cheap to copy. Methods that fail throw Failure with the library's message.
class Device {
 public:
  Device() = default;  // the CPU
  Device(const dt_device_api* api, int32_t index) : api_(api), index_(index) {}

  bool is_cpu() const { return api_ == nullptr; }
  int32_t type() const { return api_ ? api_->device_type : static_cast<int32_t>(DT_DEVICE_CPU); }
  int32_t index() const { return index_; }
  dt_device_info info() const;
  // The device that owns the memory, -1 for host memory, -2 for host memory that the device can access, too.
  int32_t device_of(const void* memory) const;

  void copy(void* to, const void* from, uint64_t bytes, void* stream) const;
  void fill(void* to, uint8_t value, uint64_t bytes, void* stream) const;
  void wait(void* stream) const;
  bool is_capturing(void* stream) const;
  void record(void* event, void* stream) const;
  void wait_for_event(void* event) const;
  void stream_wait(void* stream, void* event) const;
  float elapsed_ms(void* from, void* to) const;

  const dt_device_api* api() const { return api_; }

 private:
  const dt_device_api* api_ = nullptr;
  int32_t index_ = 0;
};

// While it lives, the device is the calling thread's current one.
class DeviceScope {
 public:
  explicit DeviceScope(const Device& device);
  ~DeviceScope();
  DeviceScope(const DeviceScope&) = delete;
  DeviceScope& operator=(const DeviceScope&) = delete;

 private:
  const dt_device_api* api_ = nullptr;  // null: nothing to go back to
  int32_t before_ = 0;
};

// The table for this kind of device, or null if no opened library offers one.
const dt_device_api* device_api(int32_t type);
// Takes the table that the library at `path` offers, for good. What is wrong with it, or who offered one before: a
// process has one kind of device beside the CPU, since kernels are given the memory of that kind.
decltype(Failure::facts) offer_device(const dt_device_api* api, const std::string& path);

// All usable devices of the kind; if there are none, `*reason` says why.
std::vector<dt_device_info> list_devices(int32_t type, std::string* reason);
// The device with this index, or the calling thread's current one for -1. Throws Failure (DT_UNSUPPORTED) if it does
// not exist.
Device find_device(int32_t type, int32_t index);
// "" if the NVIDIA driver's library can be opened, else why not.
std::string cuda_driver_problem();

// Owners of objects on a device, which release them in their destructors. All of them may be empty.
class DeviceMemory {
 public:
  DeviceMemory() = default;
  // Throws Failure (DT_OUT_OF_MEMORY) naming `what`.
  DeviceMemory(const Device& device, uint64_t bytes, const char* what);
  DeviceMemory(DeviceMemory&& other) noexcept { *this = std::move(other); }
  DeviceMemory& operator=(DeviceMemory&& other) noexcept;
  ~DeviceMemory();
  uint8_t* data() const { return data_; }
  uint64_t bytes() const { return bytes_; }

 private:
  Device device_;
  uint8_t* data_ = nullptr;
  uint64_t bytes_ = 0;
};

// Page-locked memory of the host.
class PinnedMemory {
 public:
  PinnedMemory() = default;
  PinnedMemory(const Device& device, uint64_t bytes, const char* what);
  PinnedMemory(PinnedMemory&& other) noexcept { *this = std::move(other); }
  PinnedMemory& operator=(PinnedMemory&& other) noexcept;
  ~PinnedMemory();
  uint8_t* data() const { return data_; }
  uint64_t bytes() const { return bytes_; }

 private:
  Device device_;
  uint8_t* data_ = nullptr;
  uint64_t bytes_ = 0;
};

class DeviceStream {
 public:
  explicit DeviceStream(const Device& device);
  ~DeviceStream();
  DeviceStream(const DeviceStream&) = delete;
  DeviceStream& operator=(const DeviceStream&) = delete;
  void* handle() const { return handle_; }
  const Device& device() const { return device_; }

 private:
  Device device_;
  void* handle_ = nullptr;
};

class DeviceEvent {
 public:
  DeviceEvent(const Device& device, bool has_time);
  DeviceEvent(DeviceEvent&& other) noexcept : device_(other.device_), handle_(std::exchange(other.handle_, nullptr)) {}
  DeviceEvent& operator=(DeviceEvent&&) = delete;
  ~DeviceEvent();
  void* handle() const { return handle_; }

 private:
  Device device_;
  void* handle_ = nullptr;
};

}  // namespace dovetail

#endif
