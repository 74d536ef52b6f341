// SPDX-License-Identifier: Apache-2.0
// A device made of host memory, for what the executor does around devices. Kernels run when they are enqueued; what is
// copied to the host arrives there only when somebody waits for it, as late as a real device may be.
#ifndef DOVETAIL_TESTS_FAKE_DEVICE_HPP
#define DOVETAIL_TESTS_FAKE_DEVICE_HPP

#include <cstdlib>
#include <cstring>
#include <deque>
#include <map>
#include <vector>

#include "dovetail/device.h"

namespace dovetail::tests {

struct FakeDevice {
  struct Copy {
    void* to;
    std::vector<uint8_t> contents;
  };
  std::map<const uint8_t*, uint64_t> memory, pinned;  // address and size
  std::deque<Copy> under_way;
  struct Event {
    uint64_t n_begun = 0;  // copies in front of it
    float ms = 0;
  };
  uint64_t n_begun = 0, n_arrived = 0;  // copies
  float ms = 0;                         // of its clock: a wait for an event takes long, each record little
  int n_stream_waits = 0, n_event_waits = 0;
  bool is_capturing = false;

  ~FakeDevice() {
    for (auto* all : {&memory, &pinned})
      for (const auto& [address, bytes] : *all) std::free(const_cast<uint8_t*>(address));
  }
  static bool has(const std::map<const uint8_t*, uint64_t>& all, const void* at) {
    const auto* address = static_cast<const uint8_t*>(at);
    auto next = all.upper_bound(address);
    return next != all.begin() && address < (--next)->first + next->second;
  }
  void* take(std::map<const uint8_t*, uint64_t>* all, uint64_t bytes) {
    void* made = nullptr;
    if (posix_memalign(&made, 256, bytes ? bytes : 1) != 0) std::abort();
    std::memset(made, 0xee, bytes);
    (*all)[static_cast<uint8_t*>(made)] = bytes ? bytes : 1;
    return made;
  }
  void arrive(uint64_t n) {
    for (; n_arrived < n; ++n_arrived, under_way.pop_front())
      std::memcpy(under_way.front().to, under_way.front().contents.data(), under_way.front().contents.size());
  }
};
inline FakeDevice fake;

inline const dt_device_api* fake_device_api() {
  static dt_device_api api = {};
  api.h = DT_HDR(dt_device_api);
  api.device_type = DT_DEVICE_CUDA;
  api.version = "of host memory";
  api.count = [](void*, int32_t* n) -> dt_code { return *n = 1, DT_OK; };
  api.info = [](void*, int32_t, dt_device_info* info) -> dt_code { return info->sm = 90, DT_OK; };
  api.current = [](void*, int32_t* device) -> dt_code { return *device = 0, DT_OK; };
  api.select = [](void*, int32_t) -> dt_code { return DT_OK; };
  api.alloc = [](void*, uint64_t n, void** made) -> dt_code { return *made = fake.take(&fake.memory, n), DT_OK; };
  api.free = [](void* memory) { fake.memory.erase(static_cast<uint8_t*>(memory)), std::free(memory); };
  api.alloc_host = [](void*, uint64_t n, void** made) -> dt_code { return *made = fake.take(&fake.pinned, n), DT_OK; };
  api.free_host = [](void* memory) { fake.pinned.erase(static_cast<uint8_t*>(memory)), std::free(memory); };
  api.device_of = [](void*, const void* memory, int32_t* device) -> dt_code {
    *device = FakeDevice::has(fake.memory, memory) ? 0 : FakeDevice::has(fake.pinned, memory) ? -2 : -1;
    return DT_OK;
  };
  api.copy = [](void*, void* to, const void* from, uint64_t bytes, void*) -> dt_code {
    const auto* begin = static_cast<const uint8_t*>(from);
    if (FakeDevice::has(fake.memory, to)) return std::memcpy(to, from, bytes), DT_OK;
    fake.under_way.push_back({to, {begin, begin + bytes}});
    ++fake.n_begun;
    return DT_OK;
  };
  api.fill = [](void*, void* to, uint8_t value, uint64_t n, void*) -> dt_code {
    return std::memset(to, value, n), DT_OK;
  };
  api.make_stream = [](void*, void** stream) -> dt_code { return *stream = nullptr, DT_OK; };
  api.drop_stream = [](void*) {};
  api.wait_for_stream = [](void*, void*) -> dt_code { return ++fake.n_stream_waits, fake.arrive(fake.n_begun), DT_OK; };
  api.is_capturing = [](void*, void*, int32_t* yes) -> dt_code { return *yes = fake.is_capturing, DT_OK; };
  api.make_event = [](void*, int32_t, void** event) -> dt_code { return *event = new FakeDevice::Event, DT_OK; };
  api.drop_event = [](void* event) { delete static_cast<FakeDevice::Event*>(event); };
  api.record = [](void*, void* event, void*) -> dt_code {
    fake.ms += 0.001f;
    return *static_cast<FakeDevice::Event*>(event) = {fake.n_begun, fake.ms}, DT_OK;
  };
  api.wait_for_event = [](void*, void* event) -> dt_code {
    fake.ms += 1;
    return ++fake.n_event_waits, fake.arrive(static_cast<FakeDevice::Event*>(event)->n_begun), DT_OK;
  };
  api.stream_wait_for_event = [](void*, void*, void*) -> dt_code { return DT_OK; };
  api.elapsed = [](void*, void* from, void* to, float* ms) -> dt_code {
    return *ms = static_cast<FakeDevice::Event*>(to)->ms - static_cast<FakeDevice::Event*>(from)->ms, DT_OK;
  };
  return &api;
}

}  // namespace dovetail::tests

#endif
