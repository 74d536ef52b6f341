// SPDX-License-Identifier: Apache-2.0
// The rows of Identity and Cast, which convert a tensor's elements to another type:
// DOVETAIL_IMPLEMENTS("Cast@1#cpu", CastParams, kConversionRows<CastParams>). The types are the tensors'; Params need
// only say which extents go together.
#ifndef DOVETAIL_CONVERSION_ROWS_HPP
#define DOVETAIL_CONVERSION_ROWS_HPP

#ifdef __CUDACC__
#include "dovetail/cuda.hpp"
#endif
#include "dovetail/format.hpp"
#include "dovetail/simd/conversion_args.hpp"

DOVETAIL_OPEN_NAMESPACE

// Every type to every type: the alternatives are pairs.
#define DT_TYPES_FROM(x) x "|" x "|" x "|" x "|" x "|" x "|" x "|" x
#define DT_TYPES_TO "f32|f16|bf16|i8|u8|b8|i32|i64"
#define DT_TYPES_TO_4 DT_TYPES_TO "|" DT_TYPES_TO "|" DT_TYPES_TO "|" DT_TYPES_TO
constexpr char kConversionTypes[] =
    DT_TYPES_FROM("f32") "|" DT_TYPES_FROM("f16") "|" DT_TYPES_FROM("bf16") "|" DT_TYPES_FROM("i8") "|" DT_TYPES_FROM(
        "u8") "|" DT_TYPES_FROM("b8") "|" DT_TYPES_FROM("i32") "|" DT_TYPES_FROM("i64") " -> " DT_TYPES_TO_4
                                                                                        "|" DT_TYPES_TO_4;
#undef DT_TYPES_FROM
#undef DT_TYPES_TO
#undef DT_TYPES_TO_4

#ifdef __CUDACC__

void enqueue_conversion(const Run& run);  // in plugins/identity

template <class Params>
void enqueue_conversion_with(const Params&, const Run& run) {
  enqueue_conversion(run);
}

#define DT_CONVERSION_ROW(unused, format) \
  {.tactic = format,                      \
   .needs = kBuiltSm,                     \
   .types = kConversionTypes,             \
   .formats = format " -> " format,       \
   .enqueue = enqueue_conversion_with,    \
   .traits = kCaptureSafe},

template <class Params>
constexpr Row<Params> kConversionRows[] = {DOVETAIL_EACH_FORMAT(DT_CONVERSION_ROW, 0)};

#else

template <class Params, void (*kernel)(const ConversionArgs&, int64_t, int64_t)>
void enqueue_conversion(const Params&, const Run& run) {
  const Tensor x = run.input(0), y = run.output(0);
  const FormatView view = view_of(x);
  const int64_t x_bytes = size_of(x.type()), y_bytes = size_of(y.type());
  const ConversionArgs args = {x.data<void>(), y.data<void>(), static_cast<int32_t>(x.type()),
                               static_cast<int32_t>(y.type())};
  parallel_ranges(run, view.stored(), x_bytes + y_bytes, 64, [&](int64_t first, int64_t last) {
    if (x.type() != y.type()) {
      kernel(args, first, last);
    } else if (args.x != args.y) {
      std::memcpy(y.data<char>() + first * y_bytes, x.data<char>() + first * y_bytes,
                  static_cast<size_t>((last - first) * y_bytes));
    }
  });
  zero_padding(view, args.y, y_bytes);
}

#define DT_CONVERSION_ROW(isa, features, format) \
  {.tactic = format "_" #isa,                    \
   .needs = features,                            \
   .types = kConversionTypes,                    \
   .formats = format " -> " format,              \
   .enqueue = enqueue_conversion<Params, isa::convert_elements>},

// Best first.
// clang-format off
template <class Params>
constexpr Row<Params> kConversionRows[] = {
#if defined(__x86_64__)
    DOVETAIL_EACH_FORMAT(DT_CONVERSION_ROW, avx512, kAvx512)
    DOVETAIL_EACH_FORMAT(DT_CONVERSION_ROW, avx2, kAvx2)
#endif
    DOVETAIL_EACH_FORMAT(DT_CONVERSION_ROW, scalar, 0)
};
// clang-format on

#endif
#undef DT_CONVERSION_ROW

DOVETAIL_CLOSE_NAMESPACE

#endif
