// SPDX-License-Identifier: Apache-2.0
// The rows of layers that convert a tensor's elements to another type, on the CPU:
// DOVETAIL_IMPLEMENTS("Cast@1#cpu", CastParams, kConversionRows<CastParams>). The types are those of the tensors;
// Params only have to check the extents.
#ifndef DOVETAIL_KERNELS_CONVERSION_CPU_ROWS_HPP
#define DOVETAIL_KERNELS_CONVERSION_CPU_ROWS_HPP

#include "kernels/conversion/args.hpp"
#include "kernels/conversion/types.hpp"
#include "kernels/layout/format.hpp"

DOVETAIL_OPEN_NAMESPACE

// Of two tensors in one format.
template <void (*kernel)(const ConversionArgs&, int64_t, int64_t)>
void convert_as_it_lies(const Run& run, float scale) {
  const Tensor x = run.input(0), y = run.output(0);
  const FormatView view = view_of(x);
  const int64_t x_bytes = size_of(x.type()), y_bytes = size_of(y.type());
  const ConversionArgs args = {x.data<void>(), y.data<void>(), static_cast<int32_t>(x.type()),
                               static_cast<int32_t>(y.type()), scale};
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

template <class Params, void (*kernel)(const ConversionArgs&, int64_t, int64_t)>
void enqueue_conversion(const Params&, const Run& run) {
  convert_as_it_lies<kernel>(run, 0.0f);
}

#define DT_CONVERSION_ROW(isa, features, format) \
  {.tactic = format "_" #isa,                    \
   .needs = features,                            \
   .types = kConversionTypes,                    \
   .formats = format " -> " format,              \
   .enqueue = enqueue_conversion<Params, isa::convert_elements>},

// Best first.
template <class Params>
constexpr Row<Params> kConversionRows[] = {DOVETAIL_EACH_ISA_WITH(DOVETAIL_EACH_FORMAT_OF, DT_CONVERSION_ROW)};
#undef DT_CONVERSION_ROW

DOVETAIL_CLOSE_NAMESPACE

#endif
