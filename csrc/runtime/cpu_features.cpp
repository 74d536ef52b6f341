// SPDX-License-Identifier: Apache-2.0
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <string>

#include "dovetail/detail/isa.hpp"
#include "runtime/host.hpp"

#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>
#endif
#if defined(__x86_64__) && defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace dovetail {
namespace {

constexpr uint64_t bit(int feature) { return uint64_t{1} << feature; }

#if defined(__x86_64__) || defined(__i386__)
bool leaf(unsigned number, unsigned sub, unsigned (&registers)[4]) {
  return __get_cpuid_count(number, sub, &registers[0], &registers[1], &registers[2], &registers[3]) != 0;
}

// Does the system save the registers of tiles, and may this process use them? Linux hands out room for them, 8 KB a
// thread, to processes that ask for it: one permission holds for all threads, those of before and those of later.
bool may_use_tiles() {
#if defined(__x86_64__) && defined(__linux__)
  constexpr long kRequestPermission = 0x1023, kTileData = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
  constexpr unsigned kTileStates = 3u << 17;                   // of XCR0: the configuration and the data
  unsigned one[4] = {};
  leaf(1, 0, one);
  if (!(one[2] & (1u << 27))) return false;  // xgetbv
  unsigned low = 0, high = 0;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (low & kTileStates) == kTileStates && syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
#else
  return false;
#endif
}

// avx and avx512f are asked from the compiler's run time, which also asks whether the system saves the registers.
uint64_t detect() {
  __builtin_cpu_init();
  uint64_t found = 0;
  if (__builtin_cpu_supports("sse2")) found |= bit(DT_CPU_sse2);
  if (!__builtin_cpu_supports("avx")) return found;
  unsigned one[4] = {}, seven[4] = {}, seven_one[4] = {};  // eax ebx ecx edx
  leaf(1, 0, one);
  leaf(7, 0, seven);
  if (seven[0] >= 1) leaf(7, 1, seven_one);
  if (__builtin_cpu_supports("avx2")) found |= bit(DT_CPU_avx2);
  if (__builtin_cpu_supports("fma")) found |= bit(DT_CPU_fma);
  if (one[2] & (1u << 29)) found |= bit(DT_CPU_f16c);
  // "avx512" is what x86-64-v4 means: all five.
  const bool v4 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                  __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
                  __builtin_cpu_supports("avx512vl");
  if (!v4) return found;
  found |= bit(DT_CPU_avx512);
  if (seven[2] & (1u << 11)) found |= bit(DT_CPU_avx512vnni);
  if (seven_one[0] & (1u << 5)) found |= bit(DT_CPU_avx512bf16);
  if (seven[3] & (1u << 23)) found |= bit(DT_CPU_avx512fp16);
  constexpr unsigned kTileBits = 1u << 22 | 1u << 24 | 1u << 25;  // amx-bf16, amx-tile, amx-int8
  if ((seven[3] & kTileBits) == kTileBits && may_use_tiles()) found |= bit(DT_CPU_amx);
  return found;
}
#elif defined(__aarch64__)
uint64_t detect() { return bit(DT_CPU_neon); }
#else
uint64_t detect() { return 0; }
#endif

struct Cap {
  const char* name;
  uint64_t allowed;
};
#define DT_CAP(isa, needs, lanes, of, ...) {#isa, (needs) == 0 ? 0 : (needs) | bit(DT_CPU_sse2)},
constexpr Cap kCaps[] = {DOVETAIL_ISAS(DT_CAP, )};
#undef DT_CAP

void warn_once(const std::string& value) {
  static std::mutex lock;
  static std::string last;
  std::string text;
  {
    std::lock_guard<std::mutex> guard(lock);
    if (last == value) return;
    last = value;
  }
  std::string names;
  for (const Cap& cap : kCaps) names += (names.empty() ? "" : ", ") + std::string(cap.name);
  log_line(DT_LOG_WARNING, "DOVETAIL_FORCE_ISA=" + value + " is ignored; it takes one of: " + names);
}

}  // namespace

uint64_t cpu_features() {
  static const uint64_t present = detect();
  const char* forced = std::getenv("DOVETAIL_FORCE_ISA");
  if (!forced || !*forced) return present;
  for (const Cap& cap : kCaps) {
    if (std::strcmp(cap.name, forced) == 0) return present & cap.allowed;
  }
  warn_once(forced);
  return present;
}

std::string feature_names(uint64_t features) {
  std::string names;
#define DT_FEATURE_NAME(name, number) \
  if (features & bit(number)) names += names.empty() ? #name : " " #name;
  DT_CPU_FEATURES(DT_FEATURE_NAME)
#undef DT_FEATURE_NAME
  return names;
}

}  // namespace dovetail
