// SPDX-License-Identifier: Apache-2.0
#include "bindings/cache_state.hpp"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <string>
#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#endif

#include "runtime/layout.hpp"
#include "runtime/status.hpp"
#include "runtime/thread_pool.hpp"

namespace dovetail {
namespace {

// Bytes that come and go together; 64 wherever we run.
constexpr uint64_t kCacheLine = 64;
constexpr uint64_t kPage = 4096;
constexpr uint64_t kSample = 32 << 20;  // enough to measure how fast memory is
// Each speed is the best of at least kPasses passes over memory, and of more until kPassing is spent: a pass over a small
// network is short, and another program can slow down five of them.
constexpr int kPasses = 5;
constexpr std::chrono::milliseconds kPassing{40};

#if defined(__x86_64__)
__attribute__((target("clflushopt"))) void flush_quickly(const uint8_t* data, uint64_t bytes) {
  for (uint64_t at = 0; at < bytes; at += kCacheLine) _mm_clflushopt(const_cast<uint8_t*>(data + at));
  _mm_sfence();
}
#endif

// Puts memory out of all caches, where the processor lets a program do so.
void flush_lines(const uint8_t* data, uint64_t bytes) {
#if defined(__x86_64__)
  unsigned a = 0, b = 0, c = 0, d = 0;
  static const bool is_quick = __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b >> 23 & 1);
  if (is_quick) return flush_quickly(data, bytes);
  for (uint64_t at = 0; at < bytes; at += kCacheLine) _mm_clflush(data + at);
  _mm_mfence();
#elif defined(__aarch64__)
  for (uint64_t at = 0; at < bytes; at += kCacheLine) asm volatile("dc civac, %0" ::"r"(data + at) : "memory");
  asm volatile("dsb ish" ::: "memory");
#else
  static_cast<void>(data);
  static_cast<void>(bytes);
#endif
}

void read_lines(const uint8_t* data, uint64_t bytes) {
  for (uint64_t at = 0; at < bytes; at += kCacheLine)
    static_cast<void>(*reinterpret_cast<const volatile uint8_t*>(data + at));
}

uint64_t share_begin(uint64_t bytes, int32_t share, int32_t n) {
  return bytes * static_cast<uint64_t>(share) / static_cast<uint64_t>(n);
}

// Nanoseconds for each byte, if every thread of the pool reads its share.
double ns_per_byte(ThreadPool& pool, const uint8_t* data, uint64_t bytes) {
  struct Work {
    const uint8_t* data;
    uint64_t bytes;
    int32_t n;
  } work = {data, bytes, pool.n_threads()};
  const auto start = std::chrono::steady_clock::now();
  pool.run(
      work.n,
      [](void* arg, int32_t task) {
        const Work& of = *static_cast<const Work*>(arg);
        const uint64_t first = share_begin(of.bytes, task, of.n);
        read_lines(of.data + first, share_begin(of.bytes, task + 1, of.n) - first);
      },
      &work);
  const std::chrono::duration<double, std::nano> spent = std::chrono::steady_clock::now() - start;
  return spent.count() / static_cast<double>(bytes);
}

}  // namespace

CacheState::CacheState(int32_t n_threads, uint64_t evicted, double share)
    : evicted_bytes(evicted), cold_share(share), n_threads_(n_threads) {
  if (!(share >= 0 && share <= 1)) {
    throw Failure{DT_INVALID_ARGUMENT, "cold_share is from 0 to 1", {{"given", std::to_string(share)}}, ""};
  }
  const auto n = static_cast<uint64_t>(std::max(n_threads, 0));
  if (n && evicted > kMaxBytes / n) {
    throw Failure{DT_INVALID_ARGUMENT,
                  "no process can touch this much memory between two runs",
                  {{"bytes", std::to_string(evicted) + " for each of " + std::to_string(n) + " threads"},
                   {"at most", std::to_string(kMaxBytes) + " together"}},
                  "Give twice the bytes of the last cache at most."};
  }
  const uint64_t all = evicted * n;
  if (!all) return;
  others_ = AlignedMemory(all, "other layers' tensors");
  std::memset(others_.get(), 1, all);  // pages of zeros might be one page
}

void CacheState::evict(int32_t thread) const {
  if (!others_ || thread >= n_threads_) return;
  read_lines(static_cast<const uint8_t*>(others_.get()) + evicted_bytes * static_cast<uint64_t>(thread), evicted_bytes);
}

uint8_t* CacheState::on_device(const Device& device) const {
  if (!device_others_.data()) device_others_ = DeviceMemory(device, evicted_bytes, "other layers' tensors");
  return device_others_.data();
}

void CacheState::cool(const void* constant, uint64_t bytes) const {
  const auto* const data = static_cast<const uint8_t*>(constant);
  constexpr double kGoldenRatio = 0.6180339887498949;  // its multiples are spread evenly, whatever the share
  double at = 0;
  for (uint64_t page = 0; page < bytes; page += kPage) {
    if (at < cold_share) flush_lines(data + page, std::min(kPage, bytes - page));
    at += kGoldenRatio;
    if (at >= 1) at -= 1;
  }
}

void touch_share(uint8_t* data, uint64_t bytes, int32_t share, int32_t n) {
  const uint64_t last = share_begin(bytes, share + 1, n);
  for (uint64_t at = share_begin(bytes, share, n); at < last; at += kCacheLine) {
    auto* const byte = reinterpret_cast<volatile uint8_t*>(data + at);
    *byte = *byte;
  }
}

std::pair<uint64_t, uint64_t> cache_bytes() {
#if defined(_SC_LEVEL2_CACHE_SIZE) && defined(_SC_LEVEL3_CACHE_SIZE)
  const long own = sysconf(_SC_LEVEL2_CACHE_SIZE), last = sysconf(_SC_LEVEL3_CACHE_SIZE);
  return {static_cast<uint64_t>(std::max(own, 0L)), static_cast<uint64_t>(std::max(last, 0L))};
#else
  return {0, 0};
#endif
}

double measured_cold_share(uint64_t bytes, int32_t n_threads) {
  const auto pool = ThreadPool::shared(n_threads);
  const auto [own, last] = cache_bytes();
  const uint64_t near = 2 * own * static_cast<uint64_t>(pool->n_threads());
  if (!own || !last || bytes <= near) return 0;
  if (bytes > 2 * last) return 1;
  const AlignedMemory memory(bytes, "a copy of the network's tensors");
  auto* const data = static_cast<uint8_t*>(memory.get());
  std::memset(data, 1, bytes);
  const auto best = [](auto&& pass) {
    double least = INFINITY;
    const auto start = std::chrono::steady_clock::now();
    for (int done = 0; done < kPasses || std::chrono::steady_clock::now() - start < kPassing; ++done)
      least = std::min(least, pass());
    return least;
  };
  ns_per_byte(*pool, data, bytes);
  const double again = best([&] { return ns_per_byte(*pool, data, bytes); });
  ns_per_byte(*pool, data, near);
  const double warm = best([&] { return ns_per_byte(*pool, data, near); });
  const uint64_t sample = std::min(bytes, kSample);
  const double cold = best([&] {
    flush_lines(data, sample);
    return ns_per_byte(*pool, data, sample);
  });
  return cold > warm ? std::clamp((again - warm) / (cold - warm), 0.0, 1.0) : 0;
}

}  // namespace dovetail
