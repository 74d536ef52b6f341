// SPDX-License-Identifier: Apache-2.0
// What the rows hand to the kernels of ByteTable.
#ifndef DOVETAIL_PLUGINS_BYTE_TABLE_CPU_KERNELS_HPP
#define DOVETAIL_PLUGINS_BYTE_TABLE_CPU_KERNELS_HPP

#include <stdint.h>

#include "dovetail/detail/isa.hpp"

DOVETAIL_KERNELS(void byte_table(const uint8_t* x, const uint8_t* table, uint8_t* y, int64_t n);)

#endif
