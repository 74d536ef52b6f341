// SPDX-License-Identifier: Apache-2.0
// What the rows of Identity have in common on all devices.
#ifndef DOVETAIL_PLUGINS_IDENTITY_ROWS_HPP
#define DOVETAIL_PLUGINS_IDENTITY_ROWS_HPP

#include "identity.hpp"

// Every type to every type: the alternatives are pairs.
#define TYPES_FROM(x) x "|" x "|" x "|" x "|" x "|" x "|" x "|" x
#define TYPES_TO "f32|f16|bf16|i8|u8|b8|i32|i64"
#define TYPES_TO_4 TYPES_TO "|" TYPES_TO "|" TYPES_TO "|" TYPES_TO
constexpr char kIdentityTypes[] =
    TYPES_FROM("f32") "|" TYPES_FROM("f16") "|" TYPES_FROM("bf16") "|" TYPES_FROM("i8") "|" TYPES_FROM(
        "u8") "|" TYPES_FROM("b8") "|" TYPES_FROM("i32") "|" TYPES_FROM("i64") " -> " TYPES_TO_4 "|" TYPES_TO_4;
#undef TYPES_FROM
#undef TYPES_TO
#undef TYPES_TO_4

#endif
