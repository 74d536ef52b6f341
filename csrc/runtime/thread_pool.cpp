// SPDX-License-Identifier: Apache-2.0
#include "runtime/thread_pool.hpp"

#include <pthread.h>
#include <sched.h>
#include <signal.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <new>
#include <system_error>
#include <thread>
#include <vector>

#include "runtime/float_mode.hpp"
#include "runtime/status.hpp"

namespace dovetail {
namespace {

constexpr size_t kCacheLines = 128;  // two lines: the neighbour is prefetched along
constexpr int kMaxThreads = 1024;
constexpr auto kSpin = std::chrono::microseconds(30);      // the usual gap between two parallel steps is below this
constexpr auto kPatience = std::chrono::microseconds(50);  // then a worker has probably lost its core: let it run

inline void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Calls `done` until it is true or `limit` is over; the clock is read seldom because it costs more than the check.
template <typename Done>
bool spin_until(const Done& done, std::chrono::nanoseconds limit) {
  const auto end = std::chrono::steady_clock::now() + limit;
  do {
    for (int i = 0; i < 64; ++i) {
      if (done()) return true;
      relax();
    }
  } while (std::chrono::steady_clock::now() < end);
  return false;
}

// Cores that the container's quota pays for, or a large number.
int quota_cores() {
  int cores = kMaxThreads;
  if (std::FILE* file = std::fopen("/sys/fs/cgroup/cpu.max", "r")) {
    long long quota = 0, period = 0;
    if (std::fscanf(file, "%lld %lld", &quota, &period) == 2 && quota > 0 && period > 0)
      cores = static_cast<int>(std::clamp<long long>((quota + period - 1) / period, 1, kMaxThreads));
    std::fclose(file);
  }
  return cores;
}

// All pools of the process. Never destroyed: workers may outlive static objects.
struct Pools {
  std::recursive_mutex mutex;
  std::vector<ThreadPool*> all;
  std::map<int, std::weak_ptr<ThreadPool>> shared;
};

Pools& pools() {
  static Pools* const instance = new Pools;
  return *instance;
}

}  // namespace

int default_threads() {
  if (const char* text = std::getenv("DOVETAIL_NUM_THREADS")) {
    char* end = nullptr;
    errno = 0;
    const long n = std::strtol(text, &end, 10);
    if (end == text || *end || errno || n < 0 || n > kMaxThreads) {
      if (*text)
        throw status::environment_invalid("DOVETAIL_NUM_THREADS", text, "a number of threads",
                                          "1.." + std::to_string(kMaxThreads) + "; 0: as many as this process may use");
    } else if (n > 0) {
      return static_cast<int>(n);
    }
  }
  int cores = static_cast<int>(std::thread::hardware_concurrency());
#if defined(__linux__)
  cpu_set_t usable;
  if (sched_getaffinity(0, sizeof usable, &usable) == 0) cores = CPU_COUNT(&usable);
#endif
  return std::clamp(std::min(cores, quota_cores()), 1, kMaxThreads);
}

// A run splits its tasks into one share per member, the same in every run of this size, so that data stay in the
// caches of their thread. A share belongs to the thread that claims it first: its member, or the caller if it is done
// with its own and the member has not begun (asleep, or without a core). So nobody waits for a thread that
// does not run.
struct ThreadPool::Team {
  struct alignas(kCacheLines) Member {
    std::atomic<uint32_t> claimed{0};   // last epoch whose share somebody took; only grows
    std::atomic<uint32_t> finished{0};  // last epoch whose share the member computed
  };
  alignas(kCacheLines) std::atomic<uint32_t> epoch{0};  // one more for each run
  alignas(kCacheLines) std::atomic_flag taken = ATOMIC_FLAG_INIT;
  // Written before epoch, read after it, by those who have claimed a share of it.
  int32_t n_tasks = 0;
  void (*fn)(void*, int32_t) = nullptr;
  void* arg = nullptr;
  std::atomic<bool> stop{false};
  std::unique_ptr<Member[]> members;
  std::vector<std::thread> workers;  // member i + 1 each; the caller is member 0

  // False if somebody has it, or if `now` is over: a run ends only when all of its shares are claimed, so a member that
  // comes too late finds its own share claimed for that epoch or a later one.
  bool claim(int32_t member, uint32_t now) {
    std::atomic<uint32_t>& claimed = members[static_cast<size_t>(member)].claimed;
    uint32_t last = claimed.load(std::memory_order_relaxed);
    const bool is_open = static_cast<int32_t>(now - last) > 0;  // counts may wrap around
    return is_open && claimed.compare_exchange_strong(last, now, std::memory_order_acq_rel);
  }

  void compute_share(int32_t member) const {
    const int64_t n_members = static_cast<int64_t>(workers.size()) + 1;
    if (n_tasks <= n_members) {
      if (member < n_tasks) fn(arg, member);
      return;
    }
    const auto first = static_cast<int32_t>(member * int64_t{n_tasks} / n_members);
    const auto last = static_cast<int32_t>((member + 1) * int64_t{n_tasks} / n_members);
    for (int32_t task = first; task < last; ++task) fn(arg, task);
  }

  void work(int32_t member) {
    uint32_t seen = 0;
    FloatMode::set_default();  // a thread inherits that of the one that starts it, which may be inside a plugin
    const FloatMode mode;
    for (;;) {
      const auto changed = [&] { return epoch.load(std::memory_order_acquire) != seen; };
      if (!spin_until(changed, kSpin)) epoch.wait(seen, std::memory_order_acquire);
      seen = epoch.load(std::memory_order_acquire);
      if (stop.load(std::memory_order_relaxed)) return;
      if (!claim(member, seen)) continue;
      compute_share(member);
      mode.restore();
      members[static_cast<size_t>(member)].finished.store(seen, std::memory_order_release);
    }
  }

  // By the caller, after it set the job.
  void compute() {
    const uint32_t now = announce();
    compute_share(0);
    const auto n_members = static_cast<int32_t>(workers.size()) + 1;
    for (int32_t m = 1; m < n_members; ++m) {
      if (claim(m, now)) {
        compute_share(m);
        members[static_cast<size_t>(m)].finished.store(now, std::memory_order_relaxed);
      }
    }
    for (int32_t m = 1; m < n_members; ++m) {
      const std::atomic<uint32_t>& finished = members[static_cast<size_t>(m)].finished;
      const auto done = [&] { return finished.load(std::memory_order_acquire) == now; };
      if (!done() && !spin_until(done, kPatience))
        while (!done()) std::this_thread::yield();
    }
  }

  void start(int n_workers) {
    // Signals belong to the program's own threads.
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    members = std::make_unique<Member[]>(static_cast<size_t>(n_workers) + 1);
    workers.reserve(static_cast<size_t>(n_workers));
    // Workers read the team's size; none runs a task before the first epoch, which comes after the last is here.
    try {
      for (int i = 0; i < n_workers; ++i) workers.emplace_back([this, i] { work(i + 1); });
    } catch (const std::system_error&) {
      // The system gives no more threads: the team is smaller.
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }

  uint32_t announce() {
    const uint32_t now = epoch.fetch_add(1, std::memory_order_release) + 1;
    epoch.notify_all();
    return now;
  }

  ~Team() {
    stop = true;
    announce();
    for (std::thread& worker : workers) worker.join();
  }
};

void ThreadPool::forget_teams_after_fork() {
  // Only the forking thread is left: its pools' workers are gone, and their memory cannot be released any more.
  for (ThreadPool* pool : pools().all) pool->team_.store(nullptr, std::memory_order_relaxed);
  // It was locked under the parent's thread id, so the child cannot unlock it.
  new (&pools().mutex) std::recursive_mutex;
}

ThreadPool::ThreadPool(int n_threads) : n_threads_(std::clamp(n_threads, 1, kMaxThreads)) {
  table_ = {DT_HDR(dt_pool), this, n_threads_, [](void* self, int32_t n, void (*fn)(void*, int32_t), void* arg) {
              static_cast<ThreadPool*>(self)->run(n, fn, arg);
            }};
  std::lock_guard lock(pools().mutex);
  static const int registered =
      pthread_atfork([] { pools().mutex.lock(); }, [] { pools().mutex.unlock(); }, &forget_teams_after_fork);
  (void)registered;
  pools().all.push_back(this);
}

ThreadPool::~ThreadPool() {
  {
    std::lock_guard lock(pools().mutex);
    std::erase(pools().all, this);
  }
  delete team_.load();
}

std::shared_ptr<ThreadPool> ThreadPool::shared(int n_threads) {
  n_threads = std::clamp(n_threads, 1, kMaxThreads);
  std::lock_guard lock(pools().mutex);
  std::weak_ptr<ThreadPool>& slot = pools().shared[n_threads];
  std::shared_ptr<ThreadPool> pool = slot.lock();
  if (!pool) slot = pool = std::make_shared<ThreadPool>(n_threads);
  return pool;
}

ThreadPool::Team* ThreadPool::team() {
  if (Team* team = team_.load(std::memory_order_acquire)) return team;
  std::lock_guard lock(pools().mutex);
  Team* team = team_.load(std::memory_order_acquire);
  if (!team) {
    team = new (std::nothrow) Team;
    if (!team) return nullptr;
    team->start(n_threads_ - 1);
    team_.store(team, std::memory_order_release);
  }
  return team;
}

void ThreadPool::run(int32_t n_tasks, void (*fn)(void* arg, int32_t task), void* arg) {
  Team* team = n_threads_ > 1 && n_tasks > 1 ? this->team() : nullptr;
  if (!team || team->workers.empty() || team->taken.test_and_set(std::memory_order_acquire)) {
    for (int32_t task = 0; task < n_tasks; ++task) fn(arg, task);
    return;
  }
  team->n_tasks = n_tasks;
  team->fn = fn;
  team->arg = arg;
  team->compute();
  team->taken.clear(std::memory_order_release);
}

}  // namespace dovetail
