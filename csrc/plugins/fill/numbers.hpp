// SPDX-License-Identifier: Apache-2.0
// The numbers of Fill, for every device.
#ifndef DOVETAIL_PLUGINS_FILL_NUMBERS_HPP
#define DOVETAIL_PLUGINS_FILL_NUMBERS_HPP

#include "dovetail/detail/host_device.hpp"
#include "kernels/simd/vec.hpp"

namespace DT_ISA {
namespace {

// Philox 4x32-10: Salmon, Moraes, Dror & Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011. Four words of
// block `block`; element i of a tensor takes word i % 4 of block i / 4.
DOVETAIL_HOST_DEVICE inline void philox(uint64_t block, uint64_t seed, uint32_t* words) {
  uint32_t c0 = static_cast<uint32_t>(block), c1 = static_cast<uint32_t>(block >> 32), c2 = 0, c3 = 0;
  uint32_t k0 = static_cast<uint32_t>(seed), k1 = static_cast<uint32_t>(seed >> 32);
  for (int round = 0; round < 10; ++round) {
    const uint64_t first = static_cast<uint64_t>(c0) * 0xD2511F53u, second = static_cast<uint64_t>(c2) * 0xCD9E8D57u;
    c0 = static_cast<uint32_t>(second >> 32) ^ c1 ^ k0;
    c2 = static_cast<uint32_t>(first >> 32) ^ c3 ^ k1;
    c1 = static_cast<uint32_t>(second);
    c3 = static_cast<uint32_t>(first);
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  words[0] = c0;
  words[1] = c1;
  words[2] = c2;
  words[3] = c3;
}

DOVETAIL_HOST_DEVICE inline double uniform_of(uint32_t word) { return static_cast<double>(word >> 8) * 0x1p-24; }
// Of Box and Muller: ln(this) is finite, and the angle is in turns.
DOVETAIL_HOST_DEVICE inline double open_unit(uint32_t word) { return (static_cast<double>(word) + 0.5) * 0x1p-32; }
DOVETAIL_HOST_DEVICE inline double turns_of(uint32_t word) { return static_cast<double>(word) * 0x1p-32; }

}  // namespace
}  // namespace DT_ISA

#endif
