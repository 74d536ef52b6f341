// SPDX-License-Identifier: Apache-2.0
#include "runtime/checksum.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

namespace dovetail {
namespace {

static_assert(std::endian::native == std::endian::little, "plans are little-endian and are mapped, not converted");

constexpr size_t kBlock = 64, kLanes = 8;
constexpr size_t kAhead = 4096;                        // bytes; one thread gets twice as much out of memory as without
constexpr uint64_t kMultiplier = 0x9e3779b97f4a7c15u;  // 2^64 / golden ratio, odd, so that multiplying is a bijection

struct Lanes {
  uint64_t lane[kLanes];

  Lanes() {
    for (size_t i = 0; i < kLanes; ++i) lane[i] = kMultiplier * (2 * i + 1);
  }

  // Eight independent chains: one chain would wait for its multiplication, 4 cycles a word.
  void add(const unsigned char* bytes, size_t n_blocks) {
    uint64_t a[kLanes];
    std::memcpy(a, lane, sizeof a);
    for (; n_blocks > 0; --n_blocks, bytes += kBlock) {
      uint64_t word[kLanes];
      __builtin_prefetch(bytes + kAhead);
      std::memcpy(word, bytes, kBlock);
      for (size_t i = 0; i < kLanes; ++i) {
        a[i] = (a[i] ^ word[i]) * kMultiplier;
        a[i] ^= a[i] >> 29;
      }
    }
    std::memcpy(lane, a, sizeof a);
  }

  uint64_t fold(uint64_t n) const {
    uint64_t h = n * kMultiplier;
    for (uint64_t value : lane) {
      h = (h ^ value) * kMultiplier;
      h ^= h >> 32;
    }
    return h;
  }
};

}  // namespace

uint64_t checksum(const void* bytes, size_t n, size_t hole) {
  const auto* data = static_cast<const unsigned char*>(bytes);
  Lanes lanes;
  size_t at = 0;
  // Blocks that are not whole or touch the hole go through a copy.
  auto add_patched = [&](size_t from) {
    unsigned char block[kBlock] = {};
    std::memcpy(block, data + from, std::min(kBlock, n - from));
    for (size_t i = 0; i < kBlock; ++i)
      if (hole != kNoHole && from + i >= hole && from + i < hole + kChecksumDigits) block[i] = '0';
    lanes.add(block, 1);
  };
  const size_t whole = n / kBlock * kBlock;
  if (hole != kNoHole && hole < n) {
    const size_t first = hole / kBlock * kBlock, last = (hole + kChecksumDigits - 1) / kBlock * kBlock;
    lanes.add(data, first / kBlock);
    for (at = first; at <= last && at < n; at += kBlock) add_patched(at);
  }
  if (at < whole) {
    lanes.add(data + at, (whole - at) / kBlock);
    at = whole;
  }
  if (at < n) add_patched(at);
  return lanes.fold(n);
}

std::string hex_digits(uint64_t value) {
  std::string text(kChecksumDigits, '0');
  for (size_t i = kChecksumDigits; i-- > 0; value >>= 4) text[i] = "0123456789abcdef"[value & 15];
  return text;
}

}  // namespace dovetail
