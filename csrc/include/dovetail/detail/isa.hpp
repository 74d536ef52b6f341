// SPDX-License-Identifier: Apache-2.0
// The instruction sets that the kernels for CPUs are compiled for. Macros only, so that code that is compiled for them
// may include it. To add one, see docs/adding-an-instruction-set.md.
#ifndef DOVETAIL_DETAIL_ISA_HPP
#define DOVETAIL_DETAIL_ISA_HPP

#define DT_CPU_BIT(feature) (UINT64_C(1) << DT_CPU_##feature)
#define DT_NEEDS_AVX2 (DT_CPU_BIT(avx2) | DT_CPU_BIT(fma) | DT_CPU_BIT(f16c))
#define DT_NEEDS_AVX512 (DT_NEEDS_AVX2 | DT_CPU_BIT(avx512))
#define DT_NEEDS_AMX (DT_NEEDS_AVX512 | DT_CPU_BIT(avx512vnni) | DT_CPU_BIT(avx512bf16) | DT_CPU_BIT(amx))

// X(name, needs, lanes, of, ...), best first; csrc/cmake/isas.cmake says how the compiler makes code for them.
//   name   the namespace of its kernels, and the end of their tactics' names
//   needs  what the machine must have, of DT_CPU_FEATURES
//   lanes  of a vector of float32
//   of     all: every kernel is compiled for it; some: only those whose cpu_generic.hpp names it
#if defined(__x86_64__)
#define DOVETAIL_ISAS(X, ...)                                                    \
  X(amx, DT_NEEDS_AMX, 16, some, __VA_ARGS__)                                    \
  X(avx512bf16, DT_NEEDS_AVX512 | DT_CPU_BIT(avx512bf16), 16, some, __VA_ARGS__) \
  X(avx512vnni, DT_NEEDS_AVX512 | DT_CPU_BIT(avx512vnni), 16, some, __VA_ARGS__) \
  X(avx512, DT_NEEDS_AVX512, 16, all, __VA_ARGS__)                               \
  X(avx2, DT_NEEDS_AVX2, 8, all, __VA_ARGS__)                                    \
  X(scalar, 0, 4, all, __VA_ARGS__)
#else
#define DOVETAIL_ISAS(X, ...) X(scalar, 0, 4, all, __VA_ARGS__)
#endif

// DOVETAIL_KERNELS(void relu(const float* x, float* y, int64_t n);) declares avx512::relu, avx2::relu, ...
#define DOVETAIL_KERNELS(...) DOVETAIL_ISAS(DT_DECLARE_FOR, __VA_ARGS__)
#define DT_DECLARE_FOR(isa, needs, lanes, of, ...) \
  namespace isa {                                  \
  __VA_ARGS__                                      \
  }

// ROW(isa, needs), or ROW(isa, needs, more...), for each instruction set that all kernels are compiled for, best first.
#define DOVETAIL_EACH_ISA(ROW) DOVETAIL_ISAS(DT_ROW_FOR, ROW)
#define DOVETAIL_EACH_ISA_WITH(ROW, ...) DOVETAIL_ISAS(DT_ROW_WITH_FOR, ROW, __VA_ARGS__)
#define DT_ROW_FOR(isa, needs, lanes, of, ROW) DT_ROW_FOR_##of(ROW, isa, needs)
#define DT_ROW_WITH_FOR(isa, needs, lanes, of, ROW, ...) DT_ROW_FOR_##of(ROW, isa, needs, __VA_ARGS__)
#define DT_ROW_FOR_all(ROW, ...) ROW(__VA_ARGS__)
#define DT_ROW_FOR_some(ROW, ...)

#endif
