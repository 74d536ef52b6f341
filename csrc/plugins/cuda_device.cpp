// SPDX-License-Identifier: Apache-2.0
// Memory, streams and events of NVIDIA GPUs, as the runtime asks for them in device.h.
#include "dovetail/cuda.hpp"
#include "dovetail/device.h"

using namespace dovetail;

namespace {

template <class Body>
dt_code guarded(void* call, const Body& body) noexcept {
  return detail::guard(call, [](detail::Subject&) {}, body);
}

typedef unsigned long long Count;  // as printf takes it

cudaStream_t stream_at(void* handle) { return static_cast<cudaStream_t>(handle); }
cudaEvent_t event_at(void* handle) { return static_cast<cudaEvent_t>(handle); }

int version_of(cudaError_t (*get)(int*)) {
  int version = 0;
  get(&version);
  return version;
}
int major(int version) { return version / 1000; }
int minor(int version) { return version % 1000 / 10; }

struct VersionText {
  char text[64];
  VersionText() {
    const int runtime = version_of(cudaRuntimeGetVersion), driver = version_of(cudaDriverGetVersion);
    std::snprintf(text, sizeof text, "CUDA %d.%d, driver %d.%d", major(runtime), minor(runtime), major(driver),
                  minor(driver));
  }
};

void set_version();

// Why there is no device to work with.
[[noreturn]] void fail_without_device(cudaError_t error) {
  cudaGetLastError();
  const int runtime = version_of(cudaRuntimeGetVersion), driver = version_of(cudaDriverGetVersion);
  const char* const name = cudaGetErrorName(error);
  if (driver == 0) {
    fail(DT_UNSUPPORTED, "no NVIDIA driver: cudaGetDeviceCount gives %s; %s", name,
         "install the driver, or start the container with its GPUs");
  }
  if (error == cudaErrorInsufficientDriver) {
    fail(DT_UNSUPPORTED, "the NVIDIA driver is good for CUDA %d.%d, this library needs %d.%d (%s): update the driver",
         major(driver), minor(driver), major(runtime), minor(runtime), name);
  }
  if (error == cudaErrorNoDevice) {
    fail(DT_UNSUPPORTED, "a driver for CUDA %d.%d, but no NVIDIA device (%s); %s", major(driver), minor(driver), name,
         advice_for(error));
  }
  fail(DT_DEVICE_FAULT, "cudaGetDeviceCount: %s (%s); %s", name, cudaGetErrorString(error), advice_for(error));
}

dt_code count(void* call, int32_t* n) {
  return guarded(call, [&] {
    int devices = 0;
    const cudaError_t error = cudaGetDeviceCount(&devices);
    set_version();
    if (error != cudaSuccess) fail_without_device(error);
    if (devices == 0) fail_without_device(cudaErrorNoDevice);
    *n = devices;
  });
}

dt_code info(void* call, int32_t device, dt_device_info* info) {
  return guarded(call, [&] {
    cudaDeviceProp properties;
    check_cuda(cudaGetDeviceProperties(&properties, device), "cudaGetDeviceProperties of device %d", device);
    dt_device_info all = {};
    std::snprintf(all.name, sizeof all.name, "%.*s", static_cast<int>(sizeof all.name - 1), properties.name);
    all.sm = properties.major * 10 + properties.minor;
    all.multiprocessors = properties.multiProcessorCount;
    all.memory_bytes = properties.totalGlobalMem;
    check_cuda(cudaDeviceGetPCIBusId(all.bus, static_cast<int>(sizeof all.bus), device),
               "cudaDeviceGetPCIBusId of device %d", device);
    all.h = info->h;
    const size_t known = info->h.struct_size < sizeof all ? info->h.struct_size : sizeof all;
    std::memcpy(info, &all, known);
  });
}

dt_code current(void* call, int32_t* device) {
  return guarded(call, [&] {
    int found = 0;
    check_cuda(cudaGetDevice(&found), "cudaGetDevice");
    *device = found;
  });
}

dt_code select(void* call, int32_t device) {
  return guarded(call, [&] { check_cuda(cudaSetDevice(device), "cudaSetDevice of device %d", device); });
}

dt_code alloc(void* call, uint64_t bytes, void** memory) {
  return guarded(call, [&] {
    void* made = nullptr;  // of one byte at least: an empty tensor has an address too
    check_cuda(cudaMalloc(&made, bytes > 0 ? bytes : 1), "cudaMalloc of %llu bytes", static_cast<Count>(bytes));
    *memory = made;
  });
}

// What cannot be given back stays with the process; the context that it belongs to is gone or broken.
void forget(cudaError_t error) {
  if (error != cudaSuccess) cudaGetLastError();
}

void free_memory(void* memory) {
  if (memory) forget(cudaFree(memory));
}

dt_code alloc_host(void* call, uint64_t bytes, void** memory) {
  return guarded(call, [&] {
    void* made = nullptr;
    check_cuda(cudaHostAlloc(&made, bytes > 0 ? bytes : 1, cudaHostAllocPortable),
               "cudaHostAlloc of %llu page-locked bytes", static_cast<Count>(bytes));
    *memory = made;
  });
}

void free_host(void* memory) {
  if (memory) forget(cudaFreeHost(memory));
}

dt_code device_of(void* call, const void* memory, int32_t* device) {
  return guarded(call, [&] {
    cudaPointerAttributes attributes = {};
    check_cuda(cudaPointerGetAttributes(&attributes, memory), "cudaPointerGetAttributes of %p", memory);
    const bool on_device = attributes.type == cudaMemoryTypeDevice || attributes.type == cudaMemoryTypeManaged;
    *device = on_device ? attributes.device : attributes.type == cudaMemoryTypeHost ? -2 : -1;
  });
}

dt_code copy(void* call, void* to, const void* from, uint64_t bytes, void* stream) {
  return guarded(call, [&] {
    if (bytes == 0) return;
    check_cuda(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, stream_at(stream)), "cudaMemcpyAsync of %llu bytes",
               static_cast<Count>(bytes));
  });
}

dt_code fill(void* call, void* to, uint8_t value, uint64_t bytes, void* stream) {
  return guarded(call, [&] {
    if (bytes == 0) return;
    check_cuda(cudaMemsetAsync(to, value, bytes, stream_at(stream)), "cudaMemsetAsync of %llu bytes",
               static_cast<Count>(bytes));
  });
}

dt_code make_stream(void* call, void** stream) {
  return guarded(call, [&] {
    cudaStream_t made = nullptr;
    check_cuda(cudaStreamCreateWithFlags(&made, cudaStreamNonBlocking), "cudaStreamCreateWithFlags");
    *stream = made;
  });
}

void drop_stream(void* stream) {
  if (stream) forget(cudaStreamDestroy(stream_at(stream)));
}

dt_code wait_for_stream(void* call, void* stream) {
  return guarded(call, [&] { check_cuda(cudaStreamSynchronize(stream_at(stream)), "cudaStreamSynchronize"); });
}

dt_code is_capturing(void* call, void* stream, int32_t* yes) {
  return guarded(call, [&] {
    cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
    const cudaError_t error = cudaStreamIsCapturing(stream_at(stream), &status);
    if (error == cudaErrorStreamCaptureImplicit) {  // another stream is; the default stream, asked here, never can be
      cudaGetLastError();
      status = cudaStreamCaptureStatusNone;
    } else {
      check_cuda(error, "cudaStreamIsCapturing");
    }
    *yes = status != cudaStreamCaptureStatusNone;
  });
}

dt_code make_event(void* call, int32_t has_time, void** event) {
  return guarded(call, [&] {
    cudaEvent_t made = nullptr;
    check_cuda(cudaEventCreateWithFlags(&made, has_time ? cudaEventDefault : cudaEventDisableTiming),
               "cudaEventCreateWithFlags");
    *event = made;
  });
}

void drop_event(void* event) {
  if (event) forget(cudaEventDestroy(event_at(event)));
}

dt_code record(void* call, void* event, void* stream) {
  return guarded(call, [&] { check_cuda(cudaEventRecord(event_at(event), stream_at(stream)), "cudaEventRecord"); });
}

dt_code wait_for_event(void* call, void* event) {
  return guarded(call, [&] { check_cuda(cudaEventSynchronize(event_at(event)), "cudaEventSynchronize"); });
}

dt_code stream_wait_for_event(void* call, void* stream, void* event) {
  return guarded(
      call, [&] { check_cuda(cudaStreamWaitEvent(stream_at(stream), event_at(event), 0), "cudaStreamWaitEvent"); });
}

dt_code elapsed(void* call, void* from, void* to, float* milliseconds) {
  return guarded(call, [&] {
    float found = 0;
    check_cuda(cudaEventElapsedTime(&found, event_at(from), event_at(to)), "cudaEventElapsedTime");
    *milliseconds = found;
  });
}

dt_device_api table = {DT_HDR(dt_device_api),
                       DT_DEVICE_CUDA,
                       "CUDA " DOVETAIL_TEXT(__CUDACC_VER_MAJOR__) "." DOVETAIL_TEXT(__CUDACC_VER_MINOR__),
                       count,
                       info,
                       current,
                       select,
                       alloc,
                       free_memory,
                       alloc_host,
                       free_host,
                       device_of,
                       copy,
                       fill,
                       make_stream,
                       drop_stream,
                       wait_for_stream,
                       is_capturing,
                       make_event,
                       drop_event,
                       record,
                       wait_for_event,
                       stream_wait_for_event,
                       elapsed};

void set_version() {
  static const VersionText version;
  const char* const text = version.text;
  __atomic_store_n(&table.version, text, __ATOMIC_RELEASE);
}

}  // namespace

DOVETAIL_EXTENSION(DT_DEVICE_EXTENSION, &table)
