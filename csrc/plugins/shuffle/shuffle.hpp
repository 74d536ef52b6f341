// SPDX-License-Identifier: Apache-2.0
// y = transpose(reshape(transpose(x, first), dims), second). The dims in between follow from y.
//   inputs   x, linear. The dims as a tensor, if given, are in the extents of y already and not read
//   outputs  y, linear, of x's type and number of elements
#ifndef DOVETAIL_PLUGINS_SHUFFLE_SHUFFLE_HPP
#define DOVETAIL_PLUGINS_SHUFFLE_SHUFFLE_HPP

#include "dovetail/plugin.hpp"

struct ShuffleParams {
  dovetail::Ints first_transpose;   // axis i of the result is axis v[i]; empty: as it is
  dovetail::Ints second_transpose;  // of the reshaped tensor
};
DOVETAIL_READS(ShuffleParams, first_transpose, second_transpose)

#endif
