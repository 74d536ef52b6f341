// SPDX-License-Identifier: Apache-2.0
// The rows of layers that convert a tensor's elements to another type, on CUDA; used like those of cpu_rows.hpp.
#ifndef DOVETAIL_KERNELS_CONVERSION_CUDA_ROWS_HPP
#define DOVETAIL_KERNELS_CONVERSION_CUDA_ROWS_HPP

#include "dovetail/cuda.hpp"
#include "kernels/conversion/types.hpp"
#include "kernels/layout/format.hpp"

DOVETAIL_OPEN_NAMESPACE

void enqueue_conversion(const Run& run);

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
#undef DT_CONVERSION_ROW

DOVETAIL_CLOSE_NAMESPACE

#endif
