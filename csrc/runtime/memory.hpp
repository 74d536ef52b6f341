// SPDX-License-Identifier: Apache-2.0
// Host memory for contexts and plans.
#ifndef DOVETAIL_RUNTIME_MEMORY_HPP
#define DOVETAIL_RUNTIME_MEMORY_HPP

#include <cstdint>
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
  uint8_t* data_ = nullptr;
  void* mapping_ = nullptr;  // null: from aligned_alloc
  uint64_t bytes_ = 0, mapped_bytes_ = 0;
};

}  // namespace dovetail

#endif
