// SPDX-License-Identifier: Apache-2.0
// The state of the caches in which a layer is timed: as the rest of its network would leave them.
#ifndef DOVETAIL_BINDINGS_CACHE_STATE_HPP
#define DOVETAIL_BINDINGS_CACHE_STATE_HPP

#include <cstdint>
#include <utility>

#include "bindings/guarded.hpp"
#include "runtime/device.hpp"

namespace dovetail {

// Describes how the rest of a network changes the caches between two runs of one layer.
class CacheState {
 public:
  // `evicted`: bytes that each of `n_threads` reads in between, or that a device copies. `cold_share`: how much of the
  // layer's constants is in no cache then, from 0 to 1.
  CacheState(int32_t n_threads, uint64_t evicted, double cold_share);
  // Reads the bytes that are this thread's. Does nothing for threads beyond `n_threads`, and on a device.
  void evict(int32_t thread) const;
  // Removes the cold share of a constant from all caches, in pages that are spread over it.
  void cool(const void* constant, uint64_t bytes) const;
  // Memory of the device, as large as what is evicted, for copies between two runs. The same for all trials.
  uint8_t* on_device(const Device& device) const;

  const uint64_t evicted_bytes;
  const double cold_share;

 private:
  int32_t n_threads_;
  AlignedMemory others_;
  mutable DeviceMemory device_others_;
};

// Brings one of `n` equal shares of the memory into the caches of the calling core, as if it had just been written.
void touch_share(uint8_t* data, uint64_t bytes, int32_t share, int32_t n);

// Bytes of the cache that a core has of its own, and of the last one, which cores share; 0: not known.
std::pair<uint64_t, uint64_t> cache_bytes();

// If `n_threads` read this much memory again and again, how much of it comes from no cache: 0 to 1, measured on copies.
// The size of the last cache does not tell: virtual machines share it with others that they do not see.
double measured_cold_share(uint64_t bytes, int32_t n_threads);

}  // namespace dovetail

#endif
