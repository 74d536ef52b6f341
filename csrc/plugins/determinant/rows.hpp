// SPDX-License-Identifier: Apache-2.0
// What the rows of Determinant have in common on all devices.
#ifndef DOVETAIL_PLUGINS_DETERMINANT_ROWS_HPP
#define DOVETAIL_PLUGINS_DETERMINANT_ROWS_HPP

#include <math.h>

#include "determinant.hpp"
#include "dovetail/detail/host_device.hpp"

constexpr char kDeterminantTypes[] = "f32|f16|bf16 -> f32|f16|bf16";

// Bytes of a matrix while it is eliminated.
inline uint64_t matrix_bytes(int64_t n) { return static_cast<uint64_t>(n) * static_cast<uint64_t>(n) * sizeof(double); }

// Is a pivot of magnitude v to be taken rather than one of magnitude `than`? NaN goes first, so that it is not lost.
DOVETAIL_HOST_DEVICE inline bool goes_before(double v, double than) { return v > than || (v != v && than == than); }

// A product whose exponent is an integer of its own: pivots may be large and small by turns.
struct PivotProduct {
  double fraction = 1.0;
  int64_t exponent = 0;

  DOVETAIL_HOST_DEVICE void take(double factor) {
    int of_factor = 0, of_product = 0;
    const double part = frexp(factor, &of_factor);
    fraction = frexp(fraction * part, &of_product);
    exponent += of_factor + of_product;
  }
  DOVETAIL_HOST_DEVICE double value() const {
    const int64_t most = 4096;  // beyond all exponents of float64
    return ldexp(fraction, static_cast<int>(exponent > most ? most : exponent < -most ? -most : exponent));
  }
};

#endif
