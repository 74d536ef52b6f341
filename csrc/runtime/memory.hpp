// SPDX-License-Identifier: Apache-2.0
// Host memory for contexts and plans.
#ifndef DOVETAIL_RUNTIME_MEMORY_HPP
#define DOVETAIL_RUNTIME_MEMORY_HPP

#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace dovetail {

// Part of the memory that a run uses.
struct MemoryRange {
  const void* data = nullptr;
  uint64_t bytes = 0;
};

// The address of empty tensors, and of outputs without memory: not null, and not writable.
extern uint8_t* const nothing;

// Zeroed memory at a multiple of 64; large blocks use huge pages.
class Memory {
 public:
  Memory() = default;
  // Throws Failure (DT_OUT_OF_MEMORY) naming `what`.
  Memory(uint64_t bytes, const char* what);
  Memory(Memory&& other) noexcept { *this = std::move(other); }
  Memory& operator=(Memory&& other) noexcept;
  ~Memory();

  uint8_t* data() const { return data_; }
  uint64_t bytes() const { return bytes_; }

  // Give back what lies outside of these ranges, as far as the system takes it: it reads as zeros from now on.
  void keep_only(const std::vector<MemoryRange>& ranges) const;

 private:
  friend class SharedMemory;

  uint8_t* data_ = nullptr;
  void* mapping_ = nullptr;              // null: from aligned_alloc, or a part of `whole_`
  std::shared_ptr<const Memory> whole_;  // null: all of it is its own
  uint64_t bytes_ = 0, mapped_bytes_ = 0;
};

// Hands out pieces that live about as long as each other. They lie beside each other, so that each does not fill up a
// huge page of its own: the system has to zero all of those before anybody reads them.
class SharedMemory {
 public:
  // `bytes`: what the pieces probably need together. More is possible.
  explicit SharedMemory(uint64_t bytes) : left_(bytes) {}

  // As Memory(bytes, what); by any thread. The piece may outlive this object.
  Memory take(uint64_t bytes, const char* what);

 private:
  std::mutex mutex_;
  uint64_t left_;  // of what they need
  std::shared_ptr<const Memory> block_;
  uint64_t used_ = 0;  // of the block
};

}  // namespace dovetail

#endif
