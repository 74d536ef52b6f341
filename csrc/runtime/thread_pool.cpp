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
constexpr int kSpinUs = 200, kMostSpinUs = 1000000;        // most gaps between two parallel steps are below this
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

// -1 if the variable is not set, or empty.
int number_in_environment(const char* variable, int most, const char* what, const std::string& allowed) {
  const char* text = std::getenv(variable);
  if (!text || !*text) return -1;
  char* end = nullptr;
  errno = 0;
  const long n = std::strtol(text, &end, 10);
  if (end == text || *end || errno || n < 0 || n > most)
    throw status::environment_invalid(variable, text, what, allowed);
  return static_cast<int>(n);
}

// Binds the thread to one of the cores that it may use, the calling thread's for member 0. Without effect where the
// system does not allow it.
void keep_to_core(std::thread* thread, int member) {
#if defined(__linux__)
  cpu_set_t usable, one;
  if (sched_getaffinity(0, sizeof usable, &usable) != 0) return;
  std::vector<int> cores;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &usable)) cores.push_back(cpu);
  }
  const auto own = std::find(cores.begin(), cores.end(), sched_getcpu());
  if (own != cores.end()) std::rotate(cores.begin(), own, cores.end());
  if (cores.empty()) return;
  CPU_ZERO(&one);
  CPU_SET(cores[static_cast<size_t>(member) % cores.size()], &one);
  pthread_setaffinity_np(thread->native_handle(), sizeof one, &one);
#else
  (void)thread, (void)member;
#endif
}

// All pools of the process. Never destroyed: workers may outlive static objects.
struct Pools {
  std::recursive_mutex mutex;
  std::vector<ThreadPool*> all;
  std::map<ThreadOptions, std::weak_ptr<ThreadPool>> shared;
};

Pools& pools() {
  static Pools* const instance = new Pools;
  return *instance;
}

}  // namespace

int default_threads() {
  const int wanted =
      number_in_environment("DOVETAIL_NUM_THREADS", kMaxThreads, "a number of threads",
                            "1.." + std::to_string(kMaxThreads) + "; 0: as many as this process may use");
  if (wanted > 0) return wanted;
  int cores = static_cast<int>(std::thread::hardware_concurrency());
#if defined(__linux__)
  cpu_set_t usable;
  if (sched_getaffinity(0, sizeof usable, &usable) == 0) cores = CPU_COUNT(&usable);
#endif
  return std::clamp(std::min(cores, quota_cores()), 1, kMaxThreads);
}

ThreadOptions ThreadOptions::resolved() const {
  ThreadOptions all = *this;
  if (all.count <= 0) all.count = default_threads();
  if (all.spin_us < 0)
    all.spin_us = number_in_environment("DOVETAIL_SPIN_US", kMostSpinUs, "a number of microseconds",
                                        "0.." + std::to_string(kMostSpinUs));
  if (all.spin_us < 0) all.spin_us = kSpinUs;
  if (all.keeps_to_core < 0) all.keeps_to_core = number_in_environment("DOVETAIL_PIN_THREADS", 1, "yes or no", "1, 0");
  all.count = std::clamp(all.count, 1, kMaxThreads);
  all.spin_us = std::clamp(all.spin_us, 0, kMostSpinUs);
  all.keeps_to_core = all.keeps_to_core > 0;
  return all;
}

// A run splits its tasks into one share per member, the same in every run of this size, so that data stay in the
// caches of their thread. A share belongs to the thread that claims it first: its member, or the caller if it is done
// with its own and the member has not begun (asleep, or without a core). So nobody waits for a thread that
// does not run.
struct ThreadPool::Team {
  struct Member {
    alignas(kCacheLines) std::atomic<uint32_t> claimed{0};   // last epoch whose share a thread claimed; only grows
    alignas(kCacheLines) std::atomic<uint32_t> finished{0};  // last epoch whose share the member computed
  };
  alignas(kCacheLines) std::atomic_flag taken = ATOMIC_FLAG_INIT;
  // The job is beside the epoch: what tells a waiting member that there is one brings it along.
  alignas(kCacheLines) std::atomic<uint32_t> epoch{0};  // one more for each run
  // Written before epoch, read after it, by those who have claimed a share of it.
  int32_t n_tasks = 0;
  void (*fn)(void*, int32_t) = nullptr;
  void* arg = nullptr;
  alignas(kCacheLines) std::atomic<bool> stop{false};
  std::chrono::microseconds spin{kSpinUs};
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
      if (!spin_until(changed, spin)) epoch.wait(seen, std::memory_order_acquire);
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
    const auto has_finished = [&](int32_t m) {
      return members[static_cast<size_t>(m)].finished.load(std::memory_order_acquire) == now;
    };
    for (int32_t m = 1; m < n_members; ++m) {
      if (!has_finished(m) && claim(m, now)) {
        compute_share(m);
        members[static_cast<size_t>(m)].finished.store(now, std::memory_order_relaxed);
      }
    }
    for (int32_t m = 1; m < n_members; ++m) {
      const auto done = [&] { return has_finished(m); };
      if (!done() && !spin_until(done, kPatience))
        while (!done()) std::this_thread::yield();
    }
  }

  void start(const ThreadOptions& options) {
    const int n_workers = options.count - 1;
    spin = std::chrono::microseconds(options.spin_us);
    // Signals belong to the program's own threads.
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    members = std::make_unique<Member[]>(static_cast<size_t>(n_workers) + 1);
    workers.reserve(static_cast<size_t>(n_workers));
    // Workers read the team's size; none runs a task before the first epoch, which comes after the last is here.
    try {
      for (int i = 0; i < n_workers; ++i) {
        workers.emplace_back([this, i] { work(i + 1); });
        if (options.keeps_to_core) keep_to_core(&workers.back(), i + 1);
      }
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

ThreadPool::ThreadPool(const ThreadOptions& options) : options_(options.resolved()) {
  table_ = {DT_HDR(dt_pool), this, options_.count, [](void* self, int32_t n, void (*fn)(void*, int32_t), void* arg) {
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

std::shared_ptr<ThreadPool> ThreadPool::shared(const ThreadOptions& options) {
  const ThreadOptions all = options.resolved();
  std::lock_guard lock(pools().mutex);
  std::weak_ptr<ThreadPool>& slot = pools().shared[all];
  std::shared_ptr<ThreadPool> pool = slot.lock();
  if (!pool) slot = pool = std::make_shared<ThreadPool>(all);
  return pool;
}

ThreadPool::Team* ThreadPool::team() {
  if (Team* team = team_.load(std::memory_order_acquire)) return team;
  std::lock_guard lock(pools().mutex);
  Team* team = team_.load(std::memory_order_acquire);
  if (!team) {
    team = new (std::nothrow) Team;
    if (!team) return nullptr;
    team->start(options_);
    team_.store(team, std::memory_order_release);
  }
  return team;
}

void ThreadPool::run(int32_t n_tasks, void (*fn)(void* arg, int32_t task), void* arg) {
  Team* team = options_.count > 1 && n_tasks > 1 ? this->team() : nullptr;
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
