// SPDX-License-Identifier: Apache-2.0
// The threads of dt_pool: the caller and n - 1 workers. Tasks are always split in the same way.
#ifndef DOVETAIL_RUNTIME_THREAD_POOL_HPP
#define DOVETAIL_RUNTIME_THREAD_POOL_HPP

#include <atomic>
#include <compare>
#include <memory>
#include <mutex>

#include "dovetail/plugin.h"

namespace dovetail {

// DOVETAIL_NUM_THREADS, or the number of cores that this process may use.
int default_threads();

// How an engine wants its threads. 0 and -1 stand for the defaults: those of the environment, or those of this library.
struct ThreadOptions {
  int count = 0;           // with the caller
  int spin_us = -1;        // how long a worker waits actively after a run before it sleeps
  int keeps_to_core = -1;  // 1: each worker stays on one core, 0: the system moves it
  auto operator<=>(const ThreadOptions&) const = default;
  // With the defaults filled in. Throws for values of the environment that are no such numbers.
  ThreadOptions resolved() const;
};

// Workers start at the first run that has more than one task. They spin for a while after a run, then sleep: waking one
// takes 15 to 20 us. A thread that finds the workers busy with another's run computes all of its tasks itself. After
// fork() the child starts workers of its own.
class ThreadPool {
 public:
  // One pool in the process for each set of options, shared by all engines that ask for it.
  static std::shared_ptr<ThreadPool> shared(const ThreadOptions& options);
  static std::shared_ptr<ThreadPool> shared(int n_threads) { return shared(ThreadOptions{.count = n_threads}); }

  explicit ThreadPool(int n_threads) : ThreadPool(ThreadOptions{.count = n_threads}) {}
  explicit ThreadPool(const ThreadOptions& options);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int n_threads() const { return options_.count; }
  void run(int32_t n_tasks, void (*fn)(void* arg, int32_t task), void* arg);
  // For dt_run.pool; null for one thread.
  const dt_pool* table() const { return options_.count > 1 ? &table_ : nullptr; }

 private:
  struct Team;
  Team* team();
  static void forget_teams_after_fork();

  const ThreadOptions options_;
  dt_pool table_;
  std::atomic<Team*> team_{nullptr};
};

}  // namespace dovetail

#endif
