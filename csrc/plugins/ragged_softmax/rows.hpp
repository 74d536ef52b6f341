// SPDX-License-Identifier: Apache-2.0
// What the rows of RaggedSoftMax have in common on all devices.
#ifndef DOVETAIL_PLUGINS_RAGGED_SOFTMAX_ROWS_HPP
#define DOVETAIL_PLUGINS_RAGGED_SOFTMAX_ROWS_HPP

#include "kernels/layout/format.hpp"
#include "ragged_softmax.hpp"

constexpr char kTypes[] = "f32|f16|bf16|f32|f16|bf16 i32|i32|i32|i64|i64|i64 -> f32|f16|bf16|f32|f16|bf16";

#endif
