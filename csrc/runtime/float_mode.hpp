// SPDX-License-Identifier: Apache-2.0
// The floating-point mode of a thread: rounding, flush-to-zero, denormals-are-zero, masks of exceptions. A plugin may
// set it, or the start-up code of its library (-ffast-math); no other code may compute with it.
#ifndef DOVETAIL_RUNTIME_FLOAT_MODE_HPP
#define DOVETAIL_RUNTIME_FLOAT_MODE_HPP

#include <cstdint>
#if defined(__x86_64__)
#include <xmmintrin.h>
#elif !defined(__aarch64__)
#include <cfenv>
#endif

namespace dovetail {

// Saves the mode in its constructor and restores it in its destructor. Takes a few nanoseconds.
class FloatMode {
 public:
  FloatMode() : saved_(now()) {}
  ~FloatMode() { restore(); }
  FloatMode(const FloatMode&) = delete;
  FloatMode& operator=(const FloatMode&) = delete;

  // True if it had changed.
  bool restore() const {
    if (now() == saved_) return false;
    set(saved_);
    return true;
  }
  // For the threads of a pool, which otherwise inherit the mode of the thread that starts them.
  static void set_default() {
#if defined(__x86_64__)
    set({0x1f80, 0x037f});  // all exceptions masked, to nearest even, 80-bit x87: what a process starts with
#else
    set({});
#endif
  }

 private:
  struct Mode {
    uint64_t vector = 0;
    uint16_t x87 = 0;
    bool operator==(const Mode& other) const { return vector == other.vector && x87 == other.x87; }
  };
#if defined(__x86_64__)
  static constexpr uint32_t kFlags = 0x3f;  // of MXCSR: exceptions that have happened, which are not part of the mode
  static Mode now() {
    Mode mode;
    mode.vector = _mm_getcsr() & ~kFlags;
    asm volatile("fnstcw %0" : "=m"(mode.x87));
    return mode;
  }
  static void set(const Mode& mode) {
    _mm_setcsr((_mm_getcsr() & kFlags) | static_cast<uint32_t>(mode.vector));
    asm volatile("fldcw %0" : : "m"(mode.x87));
  }
#elif defined(__aarch64__)
  static Mode now() {
    Mode mode;
    asm volatile("mrs %0, fpcr" : "=r"(mode.vector));
    return mode;
  }
  static void set(const Mode& mode) { asm volatile("msr fpcr, %0" : : "r"(mode.vector)); }
#else  // rounding alone is in the standard
  static Mode now() { return {static_cast<uint64_t>(std::fegetround()), 0}; }
  static void set(const Mode& mode) { std::fesetround(static_cast<int>(mode.vector)); }
#endif

  const Mode saved_;
};

}  // namespace dovetail

#endif
