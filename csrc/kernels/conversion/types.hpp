// SPDX-License-Identifier: Apache-2.0
// The types that the layers which convert a tensor's elements take, on every device.
#ifndef DOVETAIL_KERNELS_CONVERSION_TYPES_HPP
#define DOVETAIL_KERNELS_CONVERSION_TYPES_HPP

#include "dovetail/plugin.hpp"

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

DOVETAIL_CLOSE_NAMESPACE

#endif
