// SPDX-License-Identifier: Apache-2.0
// The k greatest or least elements along an axis, in order, and where they were. k is the extent of the outputs.
//   order  of equal elements the one with the lower index comes first; -0 and 0 are equal; NaN counts as greater than
//          all numbers: first among the greatest, last among the least
#ifndef DOVETAIL_PLUGINS_TOPK_TOPK_HPP
#define DOVETAIL_PLUGINS_TOPK_TOPK_HPP

#include "dovetail/plugin.hpp"

struct TopkParams {
  int32_t op = 0;    // 0 greatest, 1 least
  int64_t axes = 0;  // a mask with one bit
};
DOVETAIL_READS(TopkParams, op, axes)

#endif
