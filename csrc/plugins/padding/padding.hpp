// SPDX-License-Identifier: Apache-2.0
// y = x with zeros around its innermost axes, or with less of them.
//   inputs   x, linear
//   outputs  y, linear, of x's type
#ifndef DOVETAIL_PLUGINS_PADDING_PADDING_HPP
#define DOVETAIL_PLUGINS_PADDING_PADDING_HPP

#include "dovetail/plugin.hpp"

struct PaddingParams {
  dovetail::Ints pre_padding, post_padding;  // of the innermost axes, outermost first; negative ones cut off
};
DOVETAIL_READS(PaddingParams, pre_padding, post_padding)

#endif
