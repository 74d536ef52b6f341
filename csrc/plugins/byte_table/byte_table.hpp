// SPDX-License-Identifier: Apache-2.0
// y = table[x], for each byte of x, as an unsigned number
//   inputs   x; table [256]
//   padding  lanes are written as zeros
#ifndef DOVETAIL_PLUGINS_BYTE_TABLE_BYTE_TABLE_HPP
#define DOVETAIL_PLUGINS_BYTE_TABLE_BYTE_TABLE_HPP

#include "dovetail/plugin.hpp"

struct ByteTableParams {
  static constexpr int64_t kEntries = 256;

  void check_shapes(const dovetail::Shapes& inputs, const dovetail::Shapes& outputs) const {
    expect_volume(inputs.get(1, "table"), kEntries);
    expect_same_dims(outputs.get(0, "y"), inputs.get(0, "x"));
  }
};
DOVETAIL_READS(ByteTableParams)

#endif
