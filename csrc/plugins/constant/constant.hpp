// SPDX-License-Identifier: Apache-2.0
// y holds the values given as a field.
//   outputs  y, linear; as many elements as weights, of their type
#ifndef DOVETAIL_PLUGINS_CONSTANT_CONSTANT_HPP
#define DOVETAIL_PLUGINS_CONSTANT_CONSTANT_HPP

#include "dovetail/plugin.hpp"

struct ConstantParams {
  const dt_tensor* weights = nullptr;
};
DOVETAIL_READS(ConstantParams, weights)

#endif
