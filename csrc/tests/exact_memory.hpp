// SPDX-License-Identifier: Apache-2.0
// Memory that ends where its bytes do: what lies behind is a page that nobody may touch, or poisoned by a sanitizer.
#ifndef DOVETAIL_TESTS_EXACT_MEMORY_HPP
#define DOVETAIL_TESTS_EXACT_MEMORY_HPP

#include <sys/mman.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <vector>

namespace dovetail::tests {

#if defined(__SANITIZE_ADDRESS__)
inline constexpr bool kIsPoisoned = true;  // behind what malloc gives
#else
inline constexpr bool kIsPoisoned = false;
#endif

struct Unmap {
  void* mapping = nullptr;
  size_t bytes = 0;
  void operator()(uint8_t* memory) const {
    if (mapping)
      munmap(mapping, bytes);
    else
      std::free(memory);
  }
};
using Buffer = std::unique_ptr<uint8_t, Unmap>;

// Libraries that were not compiled with the sanitizer meet the page alone, so there is one now and then with it, too.
inline Buffer exact_buffer(size_t n, size_t align, bool with_page = !kIsPoisoned) {
  if (!with_page) {
    void* memory = nullptr;
    if (posix_memalign(&memory, align, n) != 0) std::abort();
    return {static_cast<uint8_t*>(memory), Unmap{}};
  }
  constexpr size_t kPage = 4096;
  const size_t room = (n + kPage - 1) / kPage * kPage;
  void* mapping = mmap(nullptr, room + kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapping == MAP_FAILED || mprotect(static_cast<uint8_t*>(mapping) + room, kPage, PROT_NONE) != 0) std::abort();
  auto* end = static_cast<uint8_t*>(mapping) + room;
  return {end - (n + align - 1) / align * align, Unmap{mapping, room + kPage}};
}

// `most`: no request is larger.
inline Buffer noise(size_t n, size_t align, std::mt19937& random, size_t most) {
  static const std::vector<uint8_t> pool = [most] {
    std::mt19937 own(7);
    std::vector<uint8_t> bytes(2 * most);
    for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(own());
    return bytes;
  }();
  Buffer memory = exact_buffer(n, align, !kIsPoisoned || random() % 2 == 0);
  if (n > 0) std::memcpy(memory.get(), pool.data() + random() % (pool.size() - n), n);
  return memory;
}

}  // namespace dovetail::tests

#endif
