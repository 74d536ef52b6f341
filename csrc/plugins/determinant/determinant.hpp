// SPDX-License-Identifier: Apache-2.0
// y[...] = determinant of x[..., :, :]: the product of the pivots of a Gaussian elimination that swaps rows.
//   inputs   x, linear
//   outputs  y, linear
//   numerics float64 whatever the type: a product of pivots has the relative errors of all of them, and float32 would
//            leave few digits of a large matrix's. NaN if an element is, 0 where a column is left with zeros
#ifndef DOVETAIL_PLUGINS_DETERMINANT_DETERMINANT_HPP
#define DOVETAIL_PLUGINS_DETERMINANT_DETERMINANT_HPP

#include "dovetail/plugin.hpp"

struct DeterminantParams {
  void check_shapes(const dovetail::Shapes& inputs, const dovetail::Shapes& outputs) const {
    const dovetail::Shape x = inputs.get(0, "x");
    if (x.rank() < 2 || x[-1] != x[-2]) {
      dovetail::fail(DT_SHAPE, dovetail::nowhere("x is %s, not matrices with as many rows as columns"),
                     dovetail::detail::DimsText(x.dims(), x.rank()).text);
    }
    expect_dims(outputs.get(0, "y"), x.dims(), x.rank() - 2);
  }
};
DOVETAIL_READS(DeterminantParams)

#endif
