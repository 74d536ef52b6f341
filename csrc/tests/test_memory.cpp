// SPDX-License-Identifier: Apache-2.0
// Pieces of shared memory are zeroed, aligned and apart from each other, and live as long as anybody has one.
#include <algorithm>
#include <cstring>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "check.hpp"
#include "runtime/layout.hpp"
#include "runtime/memory.hpp"

using namespace dovetail;

namespace {

constexpr uint64_t kMiB = uint64_t{1} << 20;

bool holds_only(const Memory& memory, uint8_t value) {
  return std::all_of(memory.data(), memory.data() + memory.bytes(), [=](uint8_t byte) { return byte == value; });
}

// `expected`: what was said beforehand, which may be less or more than what is taken.
void test_pieces_are_apart(uint64_t expected) {
  std::vector<Memory> pieces;
  {
    SharedMemory shared(expected);
    for (uint64_t bytes : {3 * kMiB, uint64_t{1}, uint64_t{0}, uint64_t{100}, kMiB + 1, 5 * kMiB, uint64_t{64}}) {
      Memory piece = shared.take(bytes, "a test");
      EXPECT_EQ(piece.bytes(), bytes);
      EXPECT_EQ(reinterpret_cast<uintptr_t>(piece.data()) % kAlignment, uintptr_t{0});
      EXPECT(holds_only(piece, 0));
      if (bytes > 0) std::memset(piece.data(), static_cast<int>(pieces.size() + 1), bytes);
      pieces.push_back(std::move(piece));
    }
  }
  for (size_t i = 0; i < pieces.size(); ++i) EXPECT(holds_only(pieces[i], static_cast<uint8_t>(i + 1)));
  while (pieces.size() > 1) pieces.erase(pieces.begin());
  EXPECT(holds_only(pieces[0], 7));
}

void test_pieces_lie_beside_each_other() {
  SharedMemory shared(8 * kMiB);
  const Memory first = shared.take(3 * kMiB, "a test"), second = shared.take(100, "a test");
  const Memory third = shared.take(4 * kMiB, "a test");
  EXPECT(second.data() == first.data() + 3 * kMiB);
  EXPECT(third.data() == second.data() + 128);
}

void test_threads_take_different_pieces() {
  SharedMemory shared(40 * kMiB);
  std::vector<std::vector<Memory>> taken(4);
  std::vector<std::thread> threads;
  for (size_t t = 0; t < taken.size(); ++t)
    threads.emplace_back([&, t] {
      for (int i = 0; i < 50; ++i) {
        Memory piece = shared.take(200000, "a test");
        std::memset(piece.data(), static_cast<int>(t + 1), piece.bytes());
        taken[t].push_back(std::move(piece));
      }
    });
  for (std::thread& thread : threads) thread.join();
  for (size_t t = 0; t < taken.size(); ++t)
    for (const Memory& piece : taken[t]) EXPECT(holds_only(piece, static_cast<uint8_t>(t + 1)));
}

}  // namespace

int main() {
  for (uint64_t expected : {uint64_t{0}, kMiB, 4 * kMiB, 10 * kMiB, 1000 * kMiB, ~uint64_t{0}})
    test_pieces_are_apart(expected);
  test_pieces_lie_beside_each_other();
  test_threads_take_different_pieces();
  return tests::report("test_memory");
}
