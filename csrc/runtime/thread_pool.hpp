// SPDX-License-Identifier: Apache-2.0
// The threads of dt_pool: the caller and n - 1 workers. Tasks are always split in the same way.
#ifndef DOVETAIL_RUNTIME_THREAD_POOL_HPP
#define DOVETAIL_RUNTIME_THREAD_POOL_HPP

#include <atomic>
#include <memory>
#include <mutex>

#include "dovetail/plugin.h"

namespace dovetail {

// DOVETAIL_NUM_THREADS, or the number of cores that this process may use.
int default_threads();

// Workers start at the first run that has more than one task. They spin for about 30 us after a run, then sleep. A
// thread that finds the workers busy with another's run computes all of its tasks itself. After fork() the child
// starts workers of its own.
class ThreadPool {
 public:
  // One pool per size in the process, shared by all engines that ask for it.
  static std::shared_ptr<ThreadPool> shared(int n_threads);

  explicit ThreadPool(int n_threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int n_threads() const { return n_threads_; }
  void run(int32_t n_tasks, void (*fn)(void* arg, int32_t task), void* arg);
  // For dt_run.pool; null for one thread.
  const dt_pool* table() const { return n_threads_ > 1 ? &table_ : nullptr; }

 private:
  struct Team;
  Team* team();
  static void forget_teams_after_fork();

  const int n_threads_;
  dt_pool table_;
  std::atomic<Team*> team_{nullptr};
};

}  // namespace dovetail

#endif
