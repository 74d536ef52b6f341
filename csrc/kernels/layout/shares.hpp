// SPDX-License-Identifier: Apache-2.0
// Division of work among threads that do not run equally fast: a core may be shared with another program or another
// virtual machine, and then a fixed half takes longer than the other one. For rows files.
#ifndef DOVETAIL_KERNELS_LAYOUT_SHARES_HPP
#define DOVETAIL_KERNELS_LAYOUT_SHARES_HPP

#include <atomic>

#include "kernels/layout/format.hpp"

DOVETAIL_OPEN_NAMESPACE

// The items of a piece that no thread has taken yet. The piece's own task takes them from the front, others from the
// back: what a thread computes stays together, and near what it computed in the run before.
class alignas(128) Share {  // two lines: the neighbour is prefetched along
 public:
  void set(int64_t first, int64_t last) {
    first_ = first;
    left_.store(last > first ? static_cast<uint64_t>(last - first) : 0, std::memory_order_relaxed);
  }
  // A quarter of what is left but at least `grain` items: the more is left, the less a late thread matters.
  bool take(int64_t grain, bool at_front, int64_t* first, int64_t* last) {
    uint64_t left = left_.load(std::memory_order_relaxed);  // from the upper to the lower 32 bits
    for (;;) {
      const int64_t begin = static_cast<int64_t>(left >> 32), end = static_cast<int64_t>(left & 0xffffffff);
      if (begin >= end) return false;
      int64_t n = (end - begin + 3) / 4;
      if (n < grain) n = grain;
      if (n > end - begin) n = end - begin;
      const int64_t rest_begin = at_front ? begin + n : begin, rest_end = at_front ? end : end - n;
      const uint64_t rest = static_cast<uint64_t>(rest_begin) << 32 | static_cast<uint64_t>(rest_end);
      if (!left_.compare_exchange_weak(left, rest, std::memory_order_relaxed)) continue;
      *first = first_ + (at_front ? begin : rest_end);
      *last = *first + n;
      return true;
    }
  }

 private:
  int64_t first_ = 0;
  std::atomic<uint64_t> left_{0};
};

// Calls body(piece, first, last) for parts of all pieces, of `grain` items or more. A task that is done with its own
// piece helps with the others. `piece` is the task's own, for its scratch memory: no two calls have the same at once.
// For items whose results do not depend on where parts begin.
template <class Body>
void run_shares(const Run& run, const Pieces& pieces, int64_t grain, const Body& body) {
  constexpr int32_t kMost = 64;  // their shares are on the stack
  const auto piece_of = [&](int32_t piece) {
    const int64_t first = piece * pieces.each, last = first + pieces.each < pieces.n ? first + pieces.each : pieces.n;
    if (first < last) body(piece, first, last);
  };
  if (pieces.count <= 1 || run.n_threads() <= 1) {
    if (pieces.n > 0) body(0, int64_t{0}, pieces.n);
    return;
  }
  if (pieces.count > kMost || pieces.each > INT32_MAX || grain >= pieces.each)
    return run.parallel_for(pieces.count, piece_of);
  Share shares[kMost];
  for (int32_t i = 0; i < pieces.count; ++i) {
    const int64_t first = i * pieces.each, last = first + pieces.each;
    shares[i].set(first, last < pieces.n ? last : pieces.n);
  }
  run.parallel_for(pieces.count, [&](int32_t piece) {
    for (int32_t i = 0; i < pieces.count; ++i) {
      Share& share = shares[(piece + i) % pieces.count];
      for (int64_t first, last; share.take(grain, i == 0, &first, &last);) body(piece, first, last);
    }
  });
}

// Items of a part of work that is cut in `pieces`: an eighth of a piece, or as many as take some microseconds. `work` as
// in `cut`.
inline int64_t grain_of(const Pieces& pieces, double work) {
  constexpr double kWorthTaking = 400000;
  const auto least = static_cast<int64_t>(work < kWorthTaking ? kWorthTaking / (work > 1 ? work : 1) : 1);
  return least > pieces.each / 8 ? least : pieces.each / 8;
}

DOVETAIL_CLOSE_NAMESPACE

#endif
