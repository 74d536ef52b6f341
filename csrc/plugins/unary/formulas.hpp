// SPDX-License-Identifier: Apache-2.0
// The functions of Unary: names, numbers and formulas, for every device.
#ifndef DOVETAIL_PLUGINS_UNARY_FORMULAS_HPP
#define DOVETAIL_PLUGINS_UNARY_FORMULAS_HPP

#include "dovetail/detail/host_device.hpp"
#include "kernels/simd/vec.hpp"
#include "kernels/spec/enumerations.hpp"

// X(name, expression): the expression is in a float v and in the functions *_u, which the place of use provides. Those
// of angles stand apart: great angles may ask for other code.
#define DOVETAIL_UNARY_ANGLES(X) \
  X(kSin, sin_u(v))              \
  X(kCos, cos_u(v))              \
  X(kTan, tan_u(v))

#define DOVETAIL_UNARY_FUNCTIONS(X) \
  X(kExp, exp_u(v))                 \
  X(kLog, log_u(v))                 \
  X(kSqrt, sqrt_u(v))               \
  X(kRecip, 1.0f / v)               \
  X(kAbs, abs_u(v))                 \
  X(kNeg, -v)                       \
  X(kSinh, sinh_u(v))               \
  X(kCosh, cosh_u(v))               \
  X(kAsin, asin_u(v))               \
  X(kAcos, acos_u(v))               \
  X(kAtan, atan_u(v))               \
  X(kAsinh, asinh_u(v))             \
  X(kAcosh, acosh_u(v))             \
  X(kAtanh, atanh_u(v))             \
  X(kCeil, ceil_u(v))               \
  X(kFloor, floor_u(v))             \
  X(kErf, erf_u(v))                 \
  X(kSign, sign_u(v))               \
  X(kRound, round_u(v))

enum UnaryKind : int32_t { DOVETAIL_UNARY_OPERATION(DOVETAIL_ENUMERATOR, k) };

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
