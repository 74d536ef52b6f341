// SPDX-License-Identifier: Apache-2.0
// Memory between red zones, which detect where and how far a kernel writes outside of its buffer.
#ifndef DOVETAIL_BINDINGS_GUARDED_HPP
#define DOVETAIL_BINDINGS_GUARDED_HPP

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>

#include "runtime/host.hpp"
#include "runtime/layout.hpp"
#include "runtime/memory.hpp"
#include "runtime/status.hpp"

namespace dovetail {

// At least one byte, aligned as tensors on any device are. Large ones are mapped as the memory of engines is, on huge pages
// of their own: on pages that were in use before, a kernel takes up to a tenth longer than it does there.
class AlignedMemory {
 public:
  AlignedMemory() = default;
  // Throws Failure (DT_OUT_OF_MEMORY) naming `what`.
  AlignedMemory(uint64_t bytes, const std::string& what) {
    constexpr uint64_t kHugePage = uint64_t{2} << 20;
    if (bytes >= kHugePage) {
      large_ = Memory(bytes, what.c_str());
      return;
    }
    const uint64_t rounded = round_up(bytes ? bytes : 1, kDeviceAlignment);
    small_.reset(static_cast<uint8_t*>(std::aligned_alloc(kDeviceAlignment, rounded)));
    if (!small_) throw status::out_of_memory(what.c_str(), bytes);
  }

  explicit operator bool() const { return get() != nullptr; }
  uint8_t* get() const { return small_ ? small_.get() : large_.data(); }

 private:
  struct Free {
    void operator()(void* memory) const { std::free(memory); }
  };
  std::unique_ptr<uint8_t, Free> small_;
  Memory large_;
};

// `bytes` bytes with a zone before and behind them. The zone behind begins at the very next byte.
class Guarded {
 public:
  static constexpr uint64_t kBefore = kDeviceAlignment, kBehind = 16384;

  Guarded() = default;
  Guarded(uint64_t bytes, const std::string& what)
      : memory_(bytes <= kMaxBytes ? bytes + kBefore + kBehind : bytes, what), bytes_(bytes) {
    std::memset(memory_.get(), kUntouched, kBefore);
    std::memset(data() + bytes_, kUntouched, kBehind);
  }

  explicit operator bool() const { return static_cast<bool>(memory_); }
  uint8_t* data() const { return memory_.get() + kBefore; }
  uint64_t bytes() const { return bytes_; }
  // With the zones: what a copy on another device takes.
  uint8_t* whole() const { return memory_.get(); }
  uint64_t whole_bytes() const { return kBefore + bytes_ + kBehind; }

  // "" or what was written, "64 bytes behind its end".
  std::string trespass() const {
    const uint8_t* behind = data() + bytes_;
    if (!is_untouched(behind, kBehind)) {
      uint64_t last = kBehind;
      while (behind[last - 1] == kUntouched) --last;
      return (last == kBehind ? "at least " : "up to ") + std::to_string(last) + " bytes behind its end";
    }
    if (!is_untouched(memory_.get(), kBefore)) {
      uint64_t first = 0;
      while (memory_.get()[first] == kUntouched) ++first;
      return (first == 0 ? "at least " : "up to ") + std::to_string(kBefore - first) + " bytes before its start";
    }
    return "";
  }

 private:
  static constexpr uint8_t kUntouched = 0xA5;
  static bool is_untouched(const uint8_t* zone, uint64_t n) {
    return zone[0] == kUntouched && std::memcmp(zone, zone + 1, n - 1) == 0;
  }

  AlignedMemory memory_;
  uint64_t bytes_ = 0;
};

}  // namespace dovetail

#endif
