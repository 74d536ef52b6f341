// SPDX-License-Identifier: Apache-2.0
// The 64-bit hash that is the checksum of plans and identifies the contents of libraries. It detects accidental
// changes, not forgeries.
#ifndef DOVETAIL_RUNTIME_CHECKSUM_HPP
#define DOVETAIL_RUNTIME_CHECKSUM_HPP

#include <cstddef>
#include <cstdint>
#include <string>

namespace dovetail {

inline constexpr size_t kNoHole = ~size_t{0};
inline constexpr size_t kChecksumDigits = 16;

// Definition. The bytes, zero-padded to a multiple of 64, are blocks of eight little-endian words; word i of every
// block goes into lane i: `lane = (lane ^ word) * kMultiplier; lane ^= lane >> 29`. Then the length and the lanes are
// folded together by bijections, so a change confined to one word always changes the result.
// The 16 bytes at `hole` are read as '0': that is where a plan stores the digits of its own checksum.
uint64_t checksum(const void* bytes, size_t n, size_t hole = kNoHole);

// 16 lower-case hex digits.
std::string hex_digits(uint64_t value);

}  // namespace dovetail

#endif
