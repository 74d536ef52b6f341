// SPDX-License-Identifier: Apache-2.0
// The operations of ElementWise, for every device.
#ifndef DOVETAIL_PLUGINS_ELEMENTWISE_OPERATIONS_HPP
#define DOVETAIL_PLUGINS_ELEMENTWISE_OPERATIONS_HPP

#include "dovetail/detail/host_device.hpp"
#include "kernels/simd/vec.hpp"
#include "kernels/spec/enumerations.hpp"

enum ElementwiseKind : int32_t { DOVETAIL_ELEMENT_WISE_OPERATION(DOVETAIL_ENUMERATOR, k) };

// X(Name): of the enumerator kName, the struct Name below has `of(a, b)`, which says what it computes, on every device.
#define DOVETAIL_ARITHMETIC(X) X(Sum) X(Prod) X(Max) X(Min) X(Sub) X(Div) X(Pow) X(FloorDiv) X(Mod) X(Fmod)
#define DOVETAIL_ON_BITS(X) X(BitAnd) X(BitOr) X(BitXor) X(ShiftLeft) X(ShiftRight)
#define DOVETAIL_COMPARISONS(X) X(Equal) X(Greater) X(Less)
#define DOVETAIL_LOGIC(X) X(And) X(Or) X(Xor)

namespace DT_ISA {
namespace {

// Sums, differences and products of signed integers are taken unsigned: those may overflow.
template <class T>
struct Wrapping {
  typedef T Type;
};
template <>
struct Wrapping<int32_t> {
  typedef uint32_t Type;
};
template <>
struct Wrapping<int64_t> {
  typedef uint64_t Type;
};
#define WRAPPED(a, op, b) \
  static_cast<T>(static_cast<typename Wrapping<T>::Type>(a) op static_cast<typename Wrapping<T>::Type>(b))

struct Sum {
  template <class T>
  DOVETAIL_HOST_DEVICE static T of(T a, T b) {
    return WRAPPED(a, +, b);
  }
};
struct Sub {
  template <class T>
  DOVETAIL_HOST_DEVICE static T of(T a, T b) {
    return WRAPPED(a, -, b);
  }
};
struct Prod {
  template <class T>
  DOVETAIL_HOST_DEVICE static T of(T a, T b) {
    return WRAPPED(a, *, b);
  }
};
struct Max {
  template <class T>
  DOVETAIL_HOST_DEVICE static T of(T a, T b) {
    return a > b || a != a ? a : b;
  }
};
struct Min {
  template <class T>
  DOVETAIL_HOST_DEVICE static T of(T a, T b) {
    return a < b || a != a ? a : b;
  }
};
struct Div {
  DOVETAIL_HOST_DEVICE static float of(float a, float b) { return a / b; }
  template <class T>
  DOVETAIL_HOST_DEVICE static T of(T a, T b) {
    if (b == 0) return 0;
    return b == -1 ? WRAPPED(0, -, a) : a / b;
  }
};
struct FloorDiv {
  DOVETAIL_HOST_DEVICE static float of(float a, float b) { return __builtin_floorf(a / b); }
  template <class T>
  DOVETAIL_HOST_DEVICE static T of(T a, T b) {
    const T quotient = Div::of(a, b);
    return b != 0 && (a < 0) != (b < 0) && WRAPPED(quotient, *, b) != a ? quotient - 1 : quotient;
  }
};
struct Pow {
  DOVETAIL_HOST_DEVICE static float of(float a, float b) { return __builtin_powf(a, b); }
  template <class T>
  DOVETAIL_HOST_DEVICE static T of(T a, T b) {
    if (b < 0) return a == 1 || (a == -1 && b % 2 == 0) ? 1 : a == -1 ? a : 0;
    T power = 1;
    for (; b > 0; b /= 2) {
      if (b % 2 != 0) power = WRAPPED(power, *, a);
      a = WRAPPED(a, *, a);
    }
    return power;
  }
};
struct Equal {
  template <class T>
  DOVETAIL_HOST_DEVICE static uint8_t of(T a, T b) {
    return a == b;
  }
};
struct Greater {
  template <class T>
  DOVETAIL_HOST_DEVICE static uint8_t of(T a, T b) {
    return a > b;
  }
};
struct Less {
  template <class T>
  DOVETAIL_HOST_DEVICE static uint8_t of(T a, T b) {
    return a < b;
  }
};
struct And {
  DOVETAIL_HOST_DEVICE static uint8_t of(uint8_t a, uint8_t b) { return a != 0 && b != 0; }
};
struct Or {
  DOVETAIL_HOST_DEVICE static uint8_t of(uint8_t a, uint8_t b) { return a != 0 || b != 0; }
};
struct Xor {
  DOVETAIL_HOST_DEVICE static uint8_t of(uint8_t a, uint8_t b) { return (a != 0) != (b != 0); }
};
// The rest of FLOOR_DIV, with the sign of b.
struct Mod {
  DOVETAIL_HOST_DEVICE static float of(float a, float b) {
    const float rest = __builtin_fmodf(a, b);
    if (rest == 0) return __builtin_copysignf(rest, b);
    return (rest < 0) != (b < 0) ? rest + b : rest;
  }
  template <class T>
  DOVETAIL_HOST_DEVICE static T of(T a, T b) {
    return b == 0 ? 0 : WRAPPED(a, -, WRAPPED(FloorDiv::of(a, b), *, b));
  }
};
// The rest of a division that is cut towards zero, with the sign of a.
struct Fmod {
  DOVETAIL_HOST_DEVICE static float of(float a, float b) { return __builtin_fmodf(a, b); }
  template <class T>
  DOVETAIL_HOST_DEVICE static T of(T a, T b) {
    return b == 0 || b == -1 ? 0 : a % b;
  }
};
struct BitAnd {
  template <class T>
  DOVETAIL_HOST_DEVICE static T of(T a, T b) {
    return a & b;
  }
};
struct BitOr {
  template <class T>
  DOVETAIL_HOST_DEVICE static T of(T a, T b) {
    return a | b;
  }
};
struct BitXor {
  template <class T>
  DOVETAIL_HOST_DEVICE static T of(T a, T b) {
    return a ^ b;
  }
};
// By fewer places than 0, or by all of them, every bit leaves.
struct ShiftLeft {
  template <class T>
  DOVETAIL_HOST_DEVICE static T of(T a, T b) {
    return b < 0 || b >= static_cast<T>(8 * sizeof(T)) ? 0 : WRAPPED(a, <<, b);
  }
};
struct ShiftRight {
  template <class T>
  DOVETAIL_HOST_DEVICE static T of(T a, T b) {
    return a >> (b < 0 || b >= static_cast<T>(8 * sizeof(T)) ? static_cast<T>(8 * sizeof(T)) - 1 : b);
  }
};
#undef WRAPPED

}  // namespace
}  // namespace DT_ISA

#endif
