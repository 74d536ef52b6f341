// SPDX-License-Identifier: Apache-2.0
// Every task runs once, whoever does it; busy, sleeping and missing workers change nothing.
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <mutex>
#include <thread>
#include <vector>

#include "check.hpp"
#include "runtime/thread_pool.hpp"

using namespace dovetail;

namespace {

struct Counts {
  std::vector<std::atomic<int>> runs;
  std::vector<std::thread::id> threads;
  explicit Counts(size_t n) : runs(n), threads(n) {}

  static void count(void* self, int32_t task) {
    auto* counts = static_cast<Counts*>(self);
    counts->runs[static_cast<size_t>(task)].fetch_add(1);
    counts->threads[static_cast<size_t>(task)] = std::this_thread::get_id();
  }
  bool all_are(int n) const {
    for (const auto& r : runs)
      if (r.load() != n) return false;
    return true;
  }
};

void test_each_task_runs_once() {
  for (int n_threads : {1, 2, 3, 8}) {
    ThreadPool pool(n_threads);
    for (int n_tasks : {0, 1, 2, 3, 7, 64, 1000}) {
      Counts counts(static_cast<size_t>(n_tasks));
      for (int i = 0; i < 50; ++i) pool.run(n_tasks, Counts::count, &counts);
      EXPECT(counts.all_are(50));
    }
  }
}

void test_a_share_is_done_by_one_thread() {
  ThreadPool pool(3);
  for (int i = 0; i < 200; ++i) {
    Counts counts(30);
    pool.run(30, Counts::count, &counts);
    EXPECT(counts.threads[0] == std::this_thread::get_id());
    for (size_t task = 0; task < 30; ++task) EXPECT(counts.threads[task] == counts.threads[task / 10 * 10]);
  }
}

void test_nobody_waits_for_a_worker_that_has_not_begun() {
  ThreadPool pool(64);  // more than there are cores, each with little to do
  for (int i = 0; i < 300; ++i) {
    Counts counts(64);
    pool.run(64, Counts::count, &counts);
    EXPECT(counts.all_are(1));
  }
}

void test_sleeping_workers_wake() {
  ThreadPool pool(2);
  for (int i = 0; i < 20; ++i) {
    Counts counts(4);
    pool.run(4, Counts::count, &counts);
    EXPECT(counts.all_are(1));
    std::this_thread::sleep_for(std::chrono::milliseconds(2));  // longer than they spin
  }
}

void test_several_callers_share_the_workers() {
  const auto pool = ThreadPool::shared(3);
  EXPECT(pool == ThreadPool::shared(3));
  std::vector<std::thread> callers;
  std::atomic<int> n_right{0};
  for (int c = 0; c < 4; ++c)
    callers.emplace_back([&] {
      for (int i = 0; i < 500; ++i) {
        Counts counts(10);
        pool->run(10, Counts::count, &counts);
        if (counts.all_are(1)) ++n_right;
      }
    });
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(n_right.load(), 2000);
}

void test_a_pool_survives_fork() {
  ThreadPool pool(2);
  Counts before(8);
  pool.run(8, Counts::count, &before);
  const pid_t child = fork();
  if (child == 0) {
    Counts counts(8);
    for (int i = 0; i < 10; ++i) pool.run(8, Counts::count, &counts);
    _exit(counts.all_are(10) ? 0 : 1);
  }
  int status = -1;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  Counts after(8);
  pool.run(8, Counts::count, &after);
  EXPECT(after.all_are(1));
}

void test_the_table_of_one_thread_is_null() {
  EXPECT(ThreadPool(1).table() == nullptr);
  ThreadPool two(2);
  Counts counts(5);
  two.table()->run(two.table()->self, 5, Counts::count, &counts);
  EXPECT(counts.all_are(1));
}

}  // namespace

int main() {
  test_each_task_runs_once();
  test_a_share_is_done_by_one_thread();
  test_nobody_waits_for_a_worker_that_has_not_begun();
  test_sleeping_workers_wake();
  test_several_callers_share_the_workers();
  test_a_pool_survives_fork();
  test_the_table_of_one_thread_is_null();
  return tests::report("test_thread_pool");
}
