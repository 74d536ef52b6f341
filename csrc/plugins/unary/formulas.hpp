// SPDX-License-Identifier: Apache-2.0
// The functions of Unary: names, numbers and formulas, for every device.
#ifndef DOVETAIL_PLUGINS_UNARY_FORMULAS_HPP
#define DOVETAIL_PLUGINS_UNARY_FORMULAS_HPP

#include "dovetail/detail/host_device.hpp"
#include "kernels/simd/vec.hpp"

// X(name, value, expression): value is that of TensorRT's UnaryOperation; the expression is in a float v and in the
// functions *_u, which the place of use provides. Those of angles stand apart: great angles may ask for other code.
#define DOVETAIL_UNARY_ANGLES(X) \
  X(kSin, 6, sin_u(v))           \
  X(kCos, 7, cos_u(v))           \
  X(kTan, 8, tan_u(v))

#define DOVETAIL_UNARY_FUNCTIONS(X) \
  X(kExp, 0, exp_u(v))              \
  X(kLog, 1, log_u(v))              \
  X(kSqrt, 2, sqrt_u(v))            \
  X(kRecip, 3, 1.0f / v)            \
  X(kAbs, 4, abs_u(v))              \
  X(kNeg, 5, -v)                    \
  X(kSinh, 9, sinh_u(v))            \
  X(kCosh, 10, cosh_u(v))           \
  X(kAsin, 11, asin_u(v))           \
  X(kAcos, 12, acos_u(v))           \
  X(kAtan, 13, atan_u(v))           \
  X(kAsinh, 14, asinh_u(v))         \
  X(kAcosh, 15, acosh_u(v))         \
  X(kAtanh, 16, atanh_u(v))         \
  X(kCeil, 17, ceil_u(v))           \
  X(kFloor, 18, floor_u(v))         \
  X(kErf, 19, erf_u(v))             \
  X(kSign, 21, sign_u(v))           \
  X(kRound, 22, round_u(v))

#define DT_UNARY_ENTRY(name, value, expression) name = value,
enum UnaryKind : int32_t {
  DOVETAIL_UNARY_FUNCTIONS(DT_UNARY_ENTRY) DOVETAIL_UNARY_ANGLES(DT_UNARY_ENTRY) kNot = 20,
  kIsInf = 23,
  kIsNan = 24
};
#undef DT_UNARY_ENTRY

namespace DT_ISA {
namespace {

DOVETAIL_HOST_DEVICE inline float sign_u(float v) { return v > 0.0f ? 1.0f : v < 0.0f ? -1.0f : v; }
DOVETAIL_HOST_DEVICE inline uint8_t is_inf(float v) { return (v - v) != (v - v) && v == v; }
DOVETAIL_HOST_DEVICE inline uint8_t is_nan(float v) { return v != v; }

// Of integers: negated as if unsigned, which cannot overflow.
template <class T>
struct IntegerAbs {
  DOVETAIL_HOST_DEVICE static T of(T v) { return v < 0 ? static_cast<T>(0 - static_cast<uint64_t>(v)) : v; }
};
template <class T>
struct IntegerNeg {
  DOVETAIL_HOST_DEVICE static T of(T v) { return static_cast<T>(0 - static_cast<uint64_t>(v)); }
};
template <class T>
struct IntegerSign {
  DOVETAIL_HOST_DEVICE static T of(T v) { return static_cast<T>((v > 0) - (v < 0)); }
};
template <class T>
struct LogicalNot {
  DOVETAIL_HOST_DEVICE static T of(T v) { return v == 0; }
};

}  // namespace
}  // namespace DT_ISA

#endif
