// SPDX-License-Identifier: Apache-2.0
// Every item of shared work is computed once, whoever does it, and no two calls have the same scratch memory at once.
#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include "check.hpp"
#include "kernels/layout/shares.hpp"
#include "runtime/thread_pool.hpp"

using namespace dovetail;

namespace {

// What happened to each item and to the scratch memory of each piece.
struct Seen {
  std::vector<std::atomic<int>> items, in_use;
  std::atomic<bool> was_shared{false};
  explicit Seen(size_t n, size_t n_pieces) : items(n), in_use(n_pieces) {}

  void begin(int32_t piece, int64_t first, int64_t last) {
    if (in_use[static_cast<size_t>(piece)].fetch_add(1) != 0) was_shared = true;
    for (int64_t i = first; i < last; ++i) items[static_cast<size_t>(i)].fetch_add(1);
  }
  void end(int32_t piece) { in_use[static_cast<size_t>(piece)].fetch_sub(1); }
  bool all_are(int n) const {
    for (const auto& item : items)
      if (item.load() != n) return false;
    return !was_shared.load();
  }
};

void test_each_item_is_computed_once() {
  for (int n_threads : {1, 2, 3, 8}) {
    ThreadPool pool(n_threads);
    dt_run raw = {};
    raw.pool = pool.table();
    const Run run(&raw);
    for (int64_t n : {int64_t{0}, int64_t{1}, int64_t{5}, int64_t{64}, int64_t{1001}}) {
      for (int count : {1, 2, 3, 7, 70}) {
        const Pieces pieces = {n, (n + count - 1) / count, n > 0 ? count : 0};
        for (int64_t grain : {int64_t{1}, int64_t{4}, int64_t{2000}}) {
          Seen seen(static_cast<size_t>(n), 70);
          for (int i = 0; i < 10; ++i) {
            run_shares(run, pieces, grain, [&](int32_t piece, int64_t first, int64_t last) {
              seen.begin(piece, first, last);
              seen.end(piece);
            });
          }
          EXPECT(seen.all_are(10));
        }
      }
    }
  }
}

// The thread of the first item sleeps in it. The rest of its piece is left to others, except what it had taken.
void test_others_compute_what_a_late_thread_has_not_taken() {
  ThreadPool pool(2);
  dt_run raw = {};
  raw.pool = pool.table();
  std::atomic<int> by_late{0}, n_done{0};
  std::atomic<std::thread::id> late{};
  run_shares(Run(&raw), {160, 80, 2}, 1, [&](int32_t, int64_t first, int64_t last) {
    if (first == 0) {
      late = std::this_thread::get_id();
      for (int i = 0; i < 5000 && n_done.load() < 140; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    if (late.load() == std::this_thread::get_id()) by_late += static_cast<int>(last - first);
    n_done += static_cast<int>(last - first);
  });
  EXPECT_EQ(by_late.load(), 20);  // a quarter of its 80
  EXPECT_EQ(n_done.load(), 160);
}

void test_an_error_in_a_part_is_thrown() {
  ThreadPool pool(2);
  dt_run raw = {};
  raw.pool = pool.table();
  bool was_thrown = false;
  try {
    run_shares(Run(&raw), {100, 50, 2}, 1, [&](int32_t, int64_t first, int64_t) {
      if (first == 0) fail(DT_INVALID_ARGUMENT, "wrong");
    });
  } catch (const Error&) {
    was_thrown = true;
  }
  EXPECT(was_thrown);
}

}  // namespace

int main() {
  test_each_item_is_computed_once();
  test_others_compute_what_a_late_thread_has_not_taken();
  test_an_error_in_a_part_is_thrown();
  return tests::report("test_shares");
}
