// SPDX-License-Identifier: Apache-2.0
// The algorithm of Identity: chunks are converted from x's type to float32 or int64, and from there to y's. INT8 with a
// scale is converted as Quantize and Dequantize do.
#ifndef DOVETAIL_KERNELS_CONVERSION_CPU_GENERIC_HPP
#define DOVETAIL_KERNELS_CONVERSION_CPU_GENERIC_HPP

#include "conversions.hpp"
#include "kernels/conversion/args.hpp"
#include "kernels/conversion/quantize.hpp"
#include "kernels/simd/convert.hpp"

namespace DT_ISA {
namespace {

constexpr int64_t kChunk = 512;

bool is_float(int32_t type) { return type == kF32 || type == kF16 || type == kBF16; }

void from_floats(const float* v, const ConversionArgs& args, int64_t first, int64_t n) {
  char* y = static_cast<char*>(args.y);
  switch (args.y_type) {
    case kI8:
      if (args.scale > 0) {
        for (int64_t i = 0; i < n; ++i) reinterpret_cast<int8_t*>(y)[first + i] = quantize_one(v[i] / args.scale);
      } else {
        for (int64_t i = 0; i < n; ++i) reinterpret_cast<int8_t*>(y)[first + i] = to_int8(v[i]);
      }
      return;
    case kU8:
      for (int64_t i = 0; i < n; ++i) reinterpret_cast<uint8_t*>(y)[first + i] = to_uint8(v[i]);
      return;
    case kB8:
      for (int64_t i = 0; i < n; ++i) reinterpret_cast<uint8_t*>(y)[first + i] = v[i] != 0.0f;
      return;
    case kI32:
      for (int64_t i = 0; i < n; ++i) reinterpret_cast<int32_t*>(y)[first + i] = to_int32(v[i]);
      return;
    case kI64:
      for (int64_t i = 0; i < n; ++i) reinterpret_cast<int64_t*>(y)[first + i] = to_int64(v[i]);
      return;
    default:
      store_floats(v, args.y, args.y_type, first, n);
  }
}

template <class X, class Y>
void integers(const ConversionArgs& args, int64_t first, int64_t last) {
  const X* x = static_cast<const X*>(args.x);
  Y* y = static_cast<Y*>(args.y);
  for (int64_t i = first; i < last; ++i) y[i] = static_cast<Y>(x[i]);
}

template <class X>
void from_integers(const ConversionArgs& args, int64_t first, int64_t last) {
  const X* x = static_cast<const X*>(args.x);
  float chunk[kChunk];
  switch (args.y_type) {
    case kI8:
      return integers<X, int8_t>(args, first, last);
    case kU8:
      return integers<X, uint8_t>(args, first, last);
    case kI32:
      return integers<X, int32_t>(args, first, last);
    case kI64:
      return integers<X, int64_t>(args, first, last);
    case kB8:
      for (int64_t i = first; i < last; ++i) static_cast<uint8_t*>(args.y)[i] = x[i] != 0;
      return;
    default:
      for (int64_t n; first < last; first += n) {
        n = last - first < kChunk ? last - first : kChunk;
        for (int64_t i = 0; i < n; ++i) chunk[i] = static_cast<float>(x[first + i]);
        if (args.scale > 0) {
          for (int64_t i = 0; i < n; ++i) chunk[i] *= args.scale;
        }
        store_floats(chunk, args.y, args.y_type, first, n);
      }
  }
}

}  // namespace

void convert_elements(const ConversionArgs& args, int64_t first, int64_t last) {
  if (is_float(args.x_type)) {
    float chunk[kChunk];
    for (int64_t n; first < last; first += n) {
      n = last - first < kChunk ? last - first : kChunk;
      load_floats(args.x, args.x_type, first, chunk, n);
      from_floats(chunk, args, first, n);
    }
  } else if (args.x_type == kI8) {
    from_integers<int8_t>(args, first, last);
  } else if (args.x_type == kI32) {
    from_integers<int32_t>(args, first, last);
  } else if (args.x_type == kI64) {
    from_integers<int64_t>(args, first, last);
  } else {
    from_integers<uint8_t>(args, first, last);
  }
}

}  // namespace DT_ISA

#endif
