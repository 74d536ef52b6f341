// SPDX-License-Identifier: Apache-2.0
// Interrupts of long work: a function of the caller that is called from time to time, and may throw.
#ifndef DOVETAIL_RUNTIME_INTERRUPT_HPP
#define DOVETAIL_RUNTIME_INTERRUPT_HPP

#include <atomic>
#include <chrono>

namespace dovetail {

// Null: nothing can interrupt. Called on the thread that runs, between two steps, never inside a plugin.
using InterruptCheck = void (*)();
inline std::atomic<InterruptCheck> interrupt_check{nullptr};

// Made where work begins; `poll` between its parts asks about ten times a second.
class Interruptible {
 public:
  using Clock = std::chrono::steady_clock;

  void poll() {
    const Clock::time_point now = Clock::now();
    if (now - last_ < kPeriod) return;
    last_ = now;
    if (const InterruptCheck check = interrupt_check.load(std::memory_order_relaxed)) check();
  }
  bool is_long() const { return Clock::now() - begin_ > kPeriod / 4; }

 private:
  static constexpr auto kPeriod = std::chrono::milliseconds(100);
  const Clock::time_point begin_ = Clock::now();
  Clock::time_point last_ = begin_;
};

}  // namespace dovetail

#endif
