// SPDX-License-Identifier: Apache-2.0
// A kind of device that dovetail does not know: the Acme board. Its memory is memory of the host that nobody else may
// use, and each of its streams is a thread that does what was enqueued, in order. A driver's calls would stand in the
// same places.
#include "dovetail/device.hpp"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>

using dovetail::fail;
using dovetail::run_guarded;

namespace board {

// ---- memory: what is the board's, and what of the host's it reaches

struct Memory {
  std::mutex lock;
  std::map<const char*, uint64_t> blocks;

  void* take(uint64_t bytes) {
    const uint64_t whole = (std::max<uint64_t>(bytes, 1) + 255) / 256 * 256;
    void* const made = std::aligned_alloc(256, whole);
    if (!made) fail(DT_OUT_OF_MEMORY, "the board has no %llu bytes left", static_cast<unsigned long long>(bytes));
    const std::lock_guard<std::mutex> guard(lock);
    blocks[static_cast<char*>(made)] = whole;
    return made;
  }
  void give_back(void* memory) {
    const std::lock_guard<std::mutex> guard(lock);
    blocks.erase(static_cast<char*>(memory));
    std::free(memory);
  }
  bool holds(const void* memory) {
    const std::lock_guard<std::mutex> guard(lock);
    auto after = blocks.upper_bound(static_cast<const char*>(memory));
    return after != blocks.begin() && static_cast<const char*>(memory) < (--after)->first + after->second;
  }
};
Memory& on_board() {
  static Memory* const memory = new Memory;  // contexts may outlive statics
  return *memory;
}
Memory& page_locked() {
  static Memory* const memory = new Memory;
  return *memory;
}

// ---- streams: work in order, done by a thread of its own

struct Stream {
  std::mutex lock;
  std::condition_variable changed;
  std::deque<std::function<void()>> work;
  bool is_busy = false, is_over = false;
  std::thread thread{[this] { run(); }};

  ~Stream() {
    {
      const std::lock_guard<std::mutex> guard(lock);
      is_over = true;
    }
    changed.notify_all();
    thread.join();
  }
  void push(std::function<void()> job) {
    {
      const std::lock_guard<std::mutex> guard(lock);
      work.push_back(std::move(job));
    }
    changed.notify_all();
  }
  void wait() {
    std::unique_lock<std::mutex> guard(lock);
    changed.wait(guard, [this] { return work.empty() && !is_busy; });
  }
  void run() {
    std::unique_lock<std::mutex> guard(lock);
    while (true) {
      changed.wait(guard, [this] { return is_over || !work.empty(); });
      if (work.empty()) return;
      const std::function<void()> job = std::move(work.front());
      work.pop_front();
      is_busy = true;
      guard.unlock();
      job();
      guard.lock();
      is_busy = false;
      changed.notify_all();
    }
  }
};
Stream& stream_at(void* handle) {
  static Stream* const by_default = new Stream;
  return handle ? *static_cast<Stream*>(handle) : *by_default;
}

// ---- events: a point in a stream, and when it was reached

struct Point {
  std::mutex lock;
  std::condition_variable changed;
  uint64_t asked = 0, reached = 0;  // how often it was recorded
  std::chrono::steady_clock::time_point when;

  void reach(uint64_t number) {
    const std::lock_guard<std::mutex> guard(lock);
    reached = number, when = std::chrono::steady_clock::now();
    changed.notify_all();
  }
  void wait(uint64_t number) {
    std::unique_lock<std::mutex> guard(lock);
    changed.wait(guard, [&] { return reached >= number; });
  }
};
typedef std::shared_ptr<Point> Event;  // work that is enqueued may outlive the event
Event& event_at(void* event) { return *static_cast<Event*>(event); }

// ---- the table

dt_code count(void*, int32_t* n) { return *n = 1, DT_OK; }
dt_code info(void*, int32_t, dt_device_info* info) {
  dt_device_info all = {};
  std::snprintf(all.name, sizeof all.name, "Acme board");
  all.sm = 10, all.multiprocessors = 1, all.memory_bytes = uint64_t{1} << 30;
  std::snprintf(all.bus, sizeof all.bus, "board:0");
  all.h = info->h;
  std::memcpy(info, &all, std::min<size_t>(info->h.struct_size, sizeof all));
  return DT_OK;
}
dt_code current(void*, int32_t* device) { return *device = 0, DT_OK; }
dt_code select(void* call, int32_t device) {
  return run_guarded(call, [&] {
    if (device != 0) fail(DT_INVALID_ARGUMENT, "there is no board %d, only board 0", device);
  });
}
dt_code alloc(void* call, uint64_t bytes, void** memory) {
  return run_guarded(call, [&] { *memory = on_board().take(bytes); });
}
void free_memory(void* memory) { on_board().give_back(memory); }
dt_code alloc_host(void* call, uint64_t bytes, void** memory) {
  return run_guarded(call, [&] { *memory = page_locked().take(bytes); });
}
void free_host(void* memory) { page_locked().give_back(memory); }
dt_code device_of(void*, const void* memory, int32_t* device) {
  return *device = on_board().holds(memory) ? 0 : page_locked().holds(memory) ? -2 : -1, DT_OK;
}
dt_code copy(void* call, void* to, const void* from, uint64_t bytes, void* stream) {
  return run_guarded(call, [&] { stream_at(stream).push([=] { std::memcpy(to, from, bytes); }); });
}
dt_code fill(void* call, void* to, uint8_t value, uint64_t bytes, void* stream) {
  return run_guarded(call, [&] { stream_at(stream).push([=] { std::memset(to, value, bytes); }); });
}
dt_code make_stream(void* call, void** stream) {
  return run_guarded(call, [&] { *stream = new Stream; });
}
void drop_stream(void* stream) { delete static_cast<Stream*>(stream); }
dt_code wait_for_stream(void* call, void* stream) {
  return run_guarded(call, [&] { stream_at(stream).wait(); });
}
dt_code is_capturing(void*, void*, int32_t* yes) { return *yes = 0, DT_OK; }
dt_code make_event(void* call, int32_t, void** event) {
  return run_guarded(call, [&] { *event = new Event(new Point); });
}
void drop_event(void* event) { delete static_cast<Event*>(event); }
dt_code record(void* call, void* event, void* stream) {
  return run_guarded(call, [&] {
    const Event point = event_at(event);
    const uint64_t number = ++point->asked;
    stream_at(stream).push([=] { point->reach(number); });
  });
}
dt_code wait_for_event(void* call, void* event) {
  return run_guarded(call, [&] { event_at(event)->wait(event_at(event)->asked); });
}
dt_code stream_wait_for_event(void* call, void* stream, void* event) {
  return run_guarded(call, [&] {
    const Event point = event_at(event);
    const uint64_t number = point->asked;
    stream_at(stream).push([=] { point->wait(number); });
  });
}
dt_code elapsed(void*, void* from, void* to, float* milliseconds) {
  const std::chrono::duration<float, std::milli> between = event_at(to)->when - event_at(from)->when;
  return *milliseconds = between.count(), DT_OK;
}

const dt_device_api table = {DT_HDR(dt_device_api),
                             DT_DEVICE_CUDA,
                             "board 1.0",
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

// ---- layers: copies between the host and the board, and the one layer that it computes

struct NoParams {};
DOVETAIL_READS(NoParams)

void enqueue_copy(const NoParams&, const dovetail::Run& run) {
  const dovetail::Tensor x = run.input(0), y = run.output(0);
  const void* const from = x.data<void>();
  void* const to = y.data<void>();
  const uint64_t bytes = static_cast<uint64_t>(y.volume()) * sizeof(float);
  stream_at(run.stream()).push([=] { std::memcpy(to, from, bytes); });
}

constexpr dovetail::Row<NoParams> kCopies[] = {
    {.tactic = "to_board", .types = "f32 -> f32", .formats = "linear@cpu -> linear", .enqueue = enqueue_copy},
    {.tactic = "to_host", .types = "f32 -> f32", .formats = "linear -> linear@cpu", .enqueue = enqueue_copy},
};
DOVETAIL_IMPLEMENTS_ON(DT_DEVICE_CUDA, "Reformat@1#acme.board", NoParams, kCopies)

struct ActivationParams {
  int32_t type = 0;
};
DOVETAIL_READS(ActivationParams, type)

const char* is_relu(const ActivationParams& params, const dovetail::Descs&, const dovetail::Descs&) {
  return params.type == 0 ? nullptr : "computes RELU only";
}

void enqueue_relu(const ActivationParams&, const dovetail::Run& run) {
  const dovetail::Tensor input = run.input(0), output = run.output(0);
  const float* const x = input.data<const float>();
  float* const y = output.data<float>();
  const int64_t n = output.volume();
  stream_at(run.stream()).push([=] {
    for (int64_t i = 0; i < n; ++i) y[i] = x[i] > 0 ? x[i] : 0;
  });
}

constexpr dovetail::Row<ActivationParams> kRelu[] = {
    {.tactic = "plain", .types = "f32 -> f32", .formats = "linear", .fits = is_relu, .enqueue = enqueue_relu},
};
DOVETAIL_IMPLEMENTS_ON(DT_DEVICE_CUDA, "Activation@1#acme.board", ActivationParams, kRelu)

}  // namespace board

DOVETAIL_EXTENSION(DT_DEVICE_EXTENSION, &board::table)
DOVETAIL_LIBRARY("acme-board", "1.0", "acme")
