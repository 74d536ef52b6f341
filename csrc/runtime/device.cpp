// SPDX-License-Identifier: Apache-2.0
#include "runtime/device.hpp"

#include <dlfcn.h>

#include <mutex>

#include "runtime/status.hpp"

namespace dovetail {
namespace {

// Runs one function of the table; a code becomes a Failure with the text that the library left.
template <typename... Parameters, typename... Arguments>
void run(dt_code (*function)(void*, Parameters...), const char* what, Arguments... arguments) {
  Call call;
  const dt_code code = function(&call, arguments...);
  if (code == DT_OK) return;
  throw Failure{code,
                call.message.empty() ? std::string(what) + " failed on the device" : call.message,
                {{"while", what}},
                code == DT_DEVICE_FAULT ? status::kFindFaultyLayer : ""};
}

struct Tables {
  std::mutex lock;
  const dt_device_api* cuda = nullptr;
  std::string cuda_path;  // of the library that offers it
};

Tables& tables() {
  static Tables* const instance = new Tables;  // never destroyed: contexts may outlive statics
  return *instance;
}

}  // namespace

// ---- one device

dt_device_info Device::info() const {
  dt_device_info info = {};
  info.h = DT_HDR(dt_device_info);
  run(api_->info, "asking for the device's properties", index_, &info);
  return info;
}

int32_t Device::device_of(const void* memory) const {
  int32_t device = -1;
  run(api_->device_of, "asking where an address lies", memory, &device);
  return device;
}

void Device::copy(void* to, const void* from, uint64_t bytes, void* stream) const {
  if (bytes > 0) run(api_->copy, "a copy", to, from, bytes, stream);
}
void Device::fill(void* to, uint8_t value, uint64_t bytes, void* stream) const {
  if (bytes > 0) run(api_->fill, "filling memory", to, value, bytes, stream);
}
void Device::wait(void* stream) const { run(api_->wait_for_stream, "waiting for a stream", stream); }
bool Device::is_capturing(void* stream) const {
  int32_t yes = 0;
  run(api_->is_capturing, "asking whether a stream is captured", stream, &yes);
  return yes != 0;
}
void Device::record(void* event, void* stream) const { run(api_->record, "recording an event", event, stream); }
void Device::wait_for_event(void* event) const { run(api_->wait_for_event, "waiting for an event", event); }
void Device::stream_wait(void* stream, void* event) const {
  run(api_->stream_wait_for_event, "letting a stream wait for an event", stream, event);
}
float Device::elapsed_ms(void* from, void* to) const {
  float milliseconds = 0;
  run(api_->elapsed, "reading the time between two events", from, to, &milliseconds);
  return milliseconds;
}

DeviceScope::DeviceScope(const Device& device) {
  if (device.is_cpu()) return;
  int32_t current = 0;
  run(device.api()->current, "asking for the current device", &current);
  if (current == device.index()) return;
  run(device.api()->select, "selecting the device", device.index());
  api_ = device.api();
  before_ = current;
}

DeviceScope::~DeviceScope() {
  if (!api_) return;
  Call call;  // it was selected before: nobody could be told anyway
  api_->select(&call, before_);
}

// ---- which there are

const dt_device_api* device_api(int32_t type) {
  if (type != DT_DEVICE_CUDA) return nullptr;
  std::lock_guard<std::mutex> guard(tables().lock);
  return tables().cuda;
}

namespace {

// What is wrong with a table: all functions of 1.0 are called without asking.
decltype(Failure::facts) faults_of(const dt_device_api& api) {
  const char* const what = "device table";
  decltype(Failure::facts) found;
  if (api.h.struct_size < offsetof(dt_device_api, elapsed) + sizeof api.elapsed) {
    found.emplace_back(what, "has " + std::to_string(api.h.struct_size) + " bytes, fewer than interface 1.0 has");
    return found;
  }
  if (api.device_type != DT_DEVICE_CUDA)
    found.emplace_back(what, "is for device type " + std::to_string(api.device_type) + "; beside the CPU there is " +
                                 std::to_string(DT_DEVICE_CUDA) + " (DT_DEVICE_CUDA) alone");
  const std::pair<const char*, bool> functions[] = {
      {"count", api.count},
      {"info", api.info},
      {"current", api.current},
      {"select", api.select},
      {"alloc", api.alloc},
      {"free", api.free},
      {"alloc_host", api.alloc_host},
      {"free_host", api.free_host},
      {"device_of", api.device_of},
      {"copy", api.copy},
      {"fill", api.fill},
      {"make_stream", api.make_stream},
      {"drop_stream", api.drop_stream},
      {"wait_for_stream", api.wait_for_stream},
      {"is_capturing", api.is_capturing},
      {"make_event", api.make_event},
      {"drop_event", api.drop_event},
      {"record", api.record},
      {"wait_for_event", api.wait_for_event},
      {"stream_wait_for_event", api.stream_wait_for_event},
      {"elapsed", api.elapsed},
  };
  for (const auto& [name, is_there] : functions)
    if (!is_there) found.emplace_back(what, std::string("has no ") + name);
  return found;
}

}  // namespace

decltype(Failure::facts) offer_device(const dt_device_api* api, const std::string& path) {
  if (!api) return {};
  if (auto faults = faults_of(*api); !faults.empty()) return faults;
  std::lock_guard<std::mutex> guard(tables().lock);
  if (tables().cuda && tables().cuda != api)
    return {{"device", "a process has one kind beside the CPU, and " + tables().cuda_path + " offers it"}};
  tables().cuda = api;
  tables().cuda_path = path;
  return {};
}

std::vector<dt_device_info> list_devices(int32_t type, std::string* reason) {
  std::vector<dt_device_info> devices;
  const dt_device_api* api = device_api(type);
  if (!api) {
    *reason = "no opened library offers CUDA devices";
    if (const std::string driver = cuda_driver_problem(); !driver.empty()) *reason = "no NVIDIA driver: " + driver;
    return devices;
  }
  Call call;
  int32_t n = 0;
  if (api->count(&call, &n) != DT_OK) {
    *reason = call.message;
    return devices;
  }
  for (int32_t i = 0; i < n; ++i) devices.push_back(Device(api, i).info());
  if (devices.empty()) *reason = "the driver sees no device";
  return devices;
}

Device find_device(int32_t type, int32_t index) {
  std::string reason;
  const auto n = static_cast<int32_t>(list_devices(type, &reason).size());
  if (n == 0) throw status::no_device(reason);
  if (index >= n) throw status::no_such_device(index, n);
  const dt_device_api* api = device_api(type);
  if (index < 0) run(api->current, "asking for the current device", &index);
  return Device(api, index);
}

std::string cuda_driver_problem() {
  static const std::string problem = [] {
    if (::dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL)) return std::string();
    const char* error = ::dlerror();
    return std::string(error ? error : "libcuda.so.1 cannot be opened");
  }();
  return problem;
}

// ---- what lives there

DeviceMemory::DeviceMemory(const Device& device, uint64_t bytes, const char* what) : device_(device), bytes_(bytes) {
  DeviceScope scope(device);
  Call call;
  void* memory = nullptr;
  if (bytes > 0 && device.api()->alloc(&call, bytes, &memory) != DT_OK)
    throw status::out_of_device_memory(what, bytes, call.message);
  data_ = static_cast<uint8_t*>(memory);
}

DeviceMemory& DeviceMemory::operator=(DeviceMemory&& other) noexcept {
  std::swap(device_, other.device_);
  std::swap(data_, other.data_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

DeviceMemory::~DeviceMemory() {
  if (data_) device_.api()->free(data_);
}

PinnedMemory::PinnedMemory(const Device& device, uint64_t bytes, const char* what) : device_(device), bytes_(bytes) {
  DeviceScope scope(device);
  Call call;
  void* memory = nullptr;
  if (bytes > 0 && device.api()->alloc_host(&call, bytes, &memory) != DT_OK)
    throw status::out_of_device_memory(what, bytes, call.message);
  data_ = static_cast<uint8_t*>(memory);
}

PinnedMemory& PinnedMemory::operator=(PinnedMemory&& other) noexcept {
  std::swap(device_, other.device_);
  std::swap(data_, other.data_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

PinnedMemory::~PinnedMemory() {
  if (data_) device_.api()->free_host(data_);
}

DeviceStream::DeviceStream(const Device& device) : device_(device) {
  DeviceScope scope(device);
  run(device.api()->make_stream, "making a stream", &handle_);
}
DeviceStream::~DeviceStream() { device_.api()->drop_stream(handle_); }

DeviceEvent::DeviceEvent(const Device& device, bool has_time) : device_(device) {
  DeviceScope scope(device);
  run(device.api()->make_event, "making an event", int32_t{has_time}, &handle_);
}
DeviceEvent::~DeviceEvent() {
  if (handle_) device_.api()->drop_event(handle_);
}

}  // namespace dovetail
